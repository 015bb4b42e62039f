/**
 * Sends one operation: address, time limit, further tries, and the answer or an error. Knows HTTP; what the
 * operations mean stands in `operations.ts`.
 */
import { NestrecApiError, NestrecClientError, NestrecConnectionError } from './errors.js';
import type { Operation } from './operations.js';

export interface TransportOptions {
  readonly url: URL;
  readonly key: string | null;
  readonly fetch: typeof globalThis.fetch;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly maxWaitMs: number;
  /** Waits; rejects with the signal's reason when that is aborted. */
  readonly wait: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  /** Uniform in [0, 1): spreads the tries of many clients. */
  readonly random: () => number;
}

/** Limits of one call that differ from the client's. */
export interface CallOptions {
  /** Ends the call, tries and waits included. */
  readonly signal?: AbortSignal | undefined;
  /** Of each try. */
  readonly timeoutMs?: number | undefined;
  /** Further tries after the first. */
  readonly retries?: number | undefined;
}

export interface Call {
  readonly path?: readonly string[];
  readonly query?: Readonly<Record<string, unknown>> | undefined;
  readonly body?: unknown;
}

export type Send = (
  operation: Operation,
  call: Call,
  options: CallOptions | undefined,
) => Promise<unknown>;

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;

export function createSend(transport: TransportOptions): Send {
  return async (operation, call, options = {}) => {
    const url = addressOf(transport.url, operation, call);
    const tries = 1 + (options.retries ?? transport.retries);
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(transport, operation, url, call.body, options);
      } catch (error) {
        const waitMs = attempt < tries ? waitBefore(error, operation, attempt, transport) : null;
        if (waitMs === null) throw error;
        await transport.wait(waitMs, options.signal);
      }
    }
  };
}

/** How long to wait before the next try; null where there must be none. */
function waitBefore(
  error: unknown,
  operation: Operation,
  attempt: number,
  { maxWaitMs, random }: TransportOptions,
): number | null {
  const backoffMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (attempt - 1));
  if (error instanceof NestrecConnectionError) {
    return operation.repeatable ? random() * backoffMs : null;
  }
  if (!(error instanceof NestrecApiError)) return null;
  // Refused at the door: nothing was done, whatever was asked for. After a 503 that is not certain.
  const refusedUnread = error.status === 429 || error.status === 408;
  const mayRepeat = refusedUnread || (error.status === 503 && operation.repeatable);
  if (!mayRepeat) return null;
  if (error.retryAfterMs === null) return random() * backoffMs;
  // Never sooner than the server says, and not all clients at once.
  const waitMs = error.retryAfterMs + random() * backoffMs;
  return error.retryAfterMs <= maxWaitMs ? waitMs : null;
}

async function once(
  transport: TransportOptions,
  operation: Operation,
  url: URL,
  body: unknown,
  { signal, ...limits }: CallOptions,
): Promise<unknown> {
  const own = Math.max(operation.timeoutMs ?? 0, transport.timeoutMs);
  const timeoutMs = limits.timeoutMs ?? own;
  const text = body === undefined ? undefined : textOf(body);
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const response = await transport.fetch(url, {
      method: operation.method,
      headers: {
        ...(transport.key === null ? {} : { authorization: `Bearer ${transport.key}` }),
        ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(text === undefined ? {} : { body: text }),
      // The key must not follow to another address.
      redirect: 'error',
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    return await answerOf(operation, response);
  } catch (error) {
    if (error instanceof NestrecClientError) throw error;
    signal?.throwIfAborted();
    if (limit.aborted) {
      const message = `${operation.method} ${operation.path} had no answer within ${timeoutMs} ms`;
      throw new NestrecConnectionError('timeout', message, { cause: error });
    }
    const message = `${operation.method} ${url.origin}${operation.path} had no answer`;
    throw new NestrecConnectionError('network_error', message, { cause: error });
  }
}

/** Nothing is sent of what cannot be JSON, and no other try would help. */
function textOf(body: unknown): string {
  try {
    return JSON.stringify(body);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new NestrecClientError('invalid_argument', `the body cannot be JSON: ${why}`, {
      cause: error,
    });
  }
}

async function answerOf(operation: Operation, response: Response): Promise<unknown> {
  const text = await response.text();
  if (response.ok && operation.answer === 'text') return text;
  if (response.ok && operation.answer === 'nothing') return undefined;
  const body = parse(text);
  if (response.ok && body !== undefined) return body;
  const requestId = response.headers.get('x-request-id');
  throw new NestrecApiError(response.status, requestId, retryAfterMs(response), body);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Seconds, as our server writes them; a proxy may give a date. */
function retryAfterMs(response: Response): number | null {
  const header = response.headers.get('retry-after');
  if (header === null) return null;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

function addressOf(base: URL, operation: Operation, call: Call): URL {
  const segments = [...(call.path ?? [])];
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    segmentOf(name, segments.shift()),
  );
  const url = new URL(base.pathname.replace(/\/$/, '') + path, base);
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

function segmentOf(name: string, id: string | undefined): string {
  // URLs have no way to write these as a segment, not even percent-encoded.
  if (id === undefined || id === '' || id === '.' || id === '..' || !id.isWellFormed()) {
    const got = JSON.stringify(id) ?? 'nothing';
    throw new NestrecClientError(
      'invalid_argument',
      `${name}: got ${got}, wanted an id that a path can hold: not empty, ".", ".." or with a lone surrogate`,
    );
  }
  return encodeURIComponent(id);
}
