/**
 * HTTP clients of a run: single requests that never throw, loads at a fixed rate (open loop: a slow answer
 * does not slow the next request), and the API as a supervised process.
 */
import { Agent, request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
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
  /** Which connection it came by: requests of one come one after the other. 0: none. */
  readonly connection: number;
}

export interface Target {
  readonly url: string;
  readonly key: string;
  /** Connections of its own; absent: those that all share. */
  readonly agent?: Agent;
}

const GIVE_UP_MS = 20_000;
/**
 * More wait in the client than the API takes connections. A client that was held up sends on every connection that
 * it has, so it lets idle ones go long before the API does.
 */
const agent = new Agent({ keepAlive: true, maxSockets: 500, timeout: 10_000 });

/** One request; never throws. */
export function send(
  target: Target,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const atMs = performance.now();
  const payload = body === undefined ? null : JSON.stringify(body);
  return new Promise((resolve) => {
    const settle = (reply: Partial<Reply>) => {
      clearTimeout(timer);
      const tookMs = performance.now() - atMs;
      const none = { status: 0, retryAfter: null, body: null, reason: null, connection: 0 };
      resolve({ ...none, ...reply, atMs, tookMs });
    };
    const call = request(target.url + path, {
      ...{ method, agent: target.agent ?? agent },
      headers: {
        ...headers,
        authorization: `Bearer ${target.key}`,
        ...(payload === null
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
      },
    });
    const timer = setTimeout(() => call.destroy(new Error('no answer in time')), GIVE_UP_MS);
    const failed = (error: NodeJS.ErrnoException) =>
      settle({ reason: error.code ?? error.message });
    call.on('error', failed);
    call.on('response', (response) => {
      // At its end the socket is the agent's again.
      const connection = connectionOf(response.socket);
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', failed);
      response.on('end', () => settle({ ...toReply(response, text), connection }));
    });
    call.end(payload);
  });
}

const connections = new WeakMap<Socket, number>();
let lastConnection = 0;

function connectionOf(socket: Socket): number {
  const known = connections.get(socket) ?? (lastConnection += 1);
  connections.set(socket, known);
  return known;
}

function toReply(response: IncomingMessage, text: string): Partial<Reply> {
  try {
    return {
      status: response.statusCode ?? 0,
      retryAfter: response.headers['retry-after'] ?? null,
      body: text === '' ? null : (JSON.parse(text) as unknown),
    };
  } catch {
    return { reason: `no JSON: ${text.slice(0, 60)}` };
  }
}

export interface OpenLoop {
  readonly replies: readonly Reply[];
  /** Requests that were due and not sent, because too many were without answer. */
  unsent(): number;
  /** Resolves when every request has its reply. */
  stop(): Promise<readonly Reply[]>;
}

/** Beyond this the machine of the run is overloaded, and the run would measure itself. */
const MOST_PENDING = 3_000;

/** Sends `perSecond` requests a second until stopped. */
export function openLoop(perSecond: number, next: (index: number) => Promise<Reply>): OpenLoop {
  let unsent = 0;
  const replies: Reply[] = [];
  const pending = new Set<Promise<void>>();
  let running = true;
  const loop = (async () => {
    const startedAtMs = performance.now();
    for (let index = 0; running;) {
      const due = Math.floor(((performance.now() - startedAtMs) / 1_000) * perSecond);
      for (; index < due && running; index++) {
        if (pending.size >= MOST_PENDING) {
          unsent += 1;
          continue;
        }
        const one: Promise<void> = next(index).then((reply) => {
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
    unsent: () => unsent,
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
