/** Starts an API on a free port for one test file, and speaks to it by fetch or by raw bytes. */
import { connect, type Socket } from 'node:net';
import { problemSchema, type Problem } from '@nestrec/contracts';
import { createApi, type Api } from '../../../services/api/src/api.js';
import type { ApiDeps } from '../../../services/api/src/deps.js';
import { createFakeWorld, type FakeWorld } from './fakes.js';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed body; null where there is none or it is not JSON. */
  readonly json: unknown;
}

export interface ApiHarness {
  readonly world: FakeWorld;
  readonly api: Api;
  readonly url: string;
  readonly port: number;
  /** Sends with a key of all scopes and the tier full, unless told otherwise (null: no key). */
  call(
    method: string,
    path: string,
    options?: { body?: unknown; key?: string | null; headers?: Record<string, string> },
  ): Promise<Reply>;
  stop(): Promise<void>;
}

export async function startApi(overrides: Partial<ApiDeps> = {}): Promise<ApiHarness> {
  const world = createFakeWorld(overrides);
  const api = createApi(world.deps);
  const { url, port } = await api.listen(0);
  const fullKey = world.key();
  return {
    world,
    api,
    url,
    port,
    call: (method, path, options = {}) => call(url, fullKey, method, path, options),
    stop: () => api.stop(),
  };
}

/** One request by fetch; a body that is no string is sent as JSON. */
export async function call(
  url: string,
  defaultKey: string | null,
  method: string,
  path: string,
  options: { body?: unknown; key?: string | null; headers?: Record<string, string> } = {},
): Promise<Reply> {
  const key = options.key === undefined ? defaultKey : options.key;
  const { body } = options;
  const isRaw = typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parse(text) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The problem in a reply; throws where the body is not exactly a problem. */
export function problemOf(reply: Reply): Problem {
  if (!reply.headers.get('content-type')?.startsWith('application/problem+json')) {
    throw new Error(`${reply.status} is no problem+json: ${reply.text.slice(0, 200)}`);
  }
  return problemSchema.parse(reply.json);
}

/** Writes bytes to the port and resolves to all that came back when the server closed the connection. */
export function rawExchange(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('close', () => resolve(text));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // A server may close while we still write; what it answered counts.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
  });
}
