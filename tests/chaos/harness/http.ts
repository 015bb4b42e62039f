/**
 * HTTP clients of a run: single requests that never throw, loads at a fixed rate (open loop: a slow answer
 * does not slow the next request), and the API as a supervised process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../helpers/processes.js';
import type { ChaosContext } from './context.js';
import type { Stream } from './stream.js';
import { supervise, type Supervised } from './supervisor.js';

export const API = new URL('../../../services/api/src/main.ts', import.meta.url);

export interface Reply {
  /** 0: no answer (refused, reset, or ours to give up). */
  readonly status: number;
  readonly atMs: number;
  readonly tookMs: number;
  readonly retryAfter: string | null;
  readonly body: unknown;
  /** Why there is no answer. */
  readonly reason: string | null;
}

export interface Target {
  readonly url: string;
  readonly key: string;
}

const GIVE_UP_MS = 20_000;

export async function send(
  target: Target,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<Reply> {
  const atMs = performance.now();
  const took = () => performance.now() - atMs;
  try {
    const response = await fetch(target.url + path, {
      method,
      headers: {
        authorization: `Bearer ${target.key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      signal: AbortSignal.timeout(GIVE_UP_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const retryAfter = response.headers.get('retry-after');
    const parsed: unknown = text === '' ? null : JSON.parse(text);
    const { status } = response;
    return { status, atMs, tookMs: took(), retryAfter, body: parsed, reason: null };
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string } };
    const reason = cause?.code ?? message;
    return { status: 0, atMs, tookMs: took(), retryAfter: null, body: null, reason };
  }
}

export interface OpenLoop {
  readonly replies: readonly Reply[];
  /** Resolves when every request has its reply. */
  stop(): Promise<readonly Reply[]>;
}

/** Sends `perSecond` requests a second until stopped. */
export function openLoop(perSecond: number, request: (index: number) => Promise<Reply>): OpenLoop {
  const replies: Reply[] = [];
  const pending = new Set<Promise<void>>();
  let running = true;
  const loop = (async () => {
    const startedAtMs = performance.now();
    for (let index = 0; running;) {
      const due = Math.floor(((performance.now() - startedAtMs) / 1_000) * perSecond);
      for (; index < due && running; index++) {
        const one: Promise<void> = request(index).then((reply) => {
          replies.push(reply);
          pending.delete(one);
        });
        pending.add(one);
      }
      await sleep(5);
    }
  })();
  return {
    replies,
    stop: async () => {
      running = false;
      await loop;
      await Promise.all(pending);
      return replies;
    },
  };
}

export interface SupervisedApi extends Supervised, Target {
  readonly port: number;
}

/** The API of the stream, not started yet. */
export async function superviseApi(
  context: ChaosContext,
  stream: Stream,
  options: { readonly program?: URL; readonly brokers?: string; readonly databaseUrl?: string },
): Promise<SupervisedApi> {
  const port = await freePort();
  const supervised = supervise(
    {
      ...{ name: 'api', program: options.program ?? API, keepAlive: true },
      readyLine: /"msg":"listening"/,
      env: {
        DATABASE_URL: options.databaseUrl ?? stream.scene.url,
        KAFKA_BROKERS: options.brokers ?? stream.brokers,
        KAFKA_TOPIC: stream.topic,
        KAFKA_DEAD_LETTER_TOPIC: stream.deadLetterTopic,
        KAFKA_CONSUMER_GROUP: stream.group,
        PORT: String(port),
        NESTREC_LOG_LEVEL: 'info',
      },
    },
    context.note,
  );
  context.defer(() => supervised.kill());
  // Spreading would freeze the getters at their values of now.
  return Object.create(supervised, {
    port: { value: port },
    url: { value: `http://127.0.0.1:${port}` },
    key: { value: stream.scene.apiKey },
  }) as SupervisedApi;
}
