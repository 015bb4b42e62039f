/**
 * D5: limits of rate are right over two processes. Steady overload, bursts at the edges of windows, a
 * process killed and started again; then how right Retry-After is, strangers by the thousand, and memory.
 * In the broken build each process counts alone.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@nestrec/runtime';
import { createApiKey, generateApiKey, upsertTier } from '@nestrec/storage';
import { DEFAULT_TIERS, type Tier } from '@nestrec/contracts';
import { createAddressLimiter } from '../../services/api/src/limits/address-limiter.js';
import { createClientLimiter } from '../../services/api/src/limits/client-limiter.js';
import { alternately, makeApiPair, type ApiPair } from './harness/api-pair.js';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { openLoop, send, type Reply } from './harness/http.js';

const RATE = 100;
const BURST = 200;
const WINDOW_MS = (BURST / RATE) * 1_000;
const STEADY_MS = 20_000;
const EDGES = 5;
const TOLERANCE = 1.05;
const PATH = '/v1/tiers';
const STRANGERS = 10_000;
const ADDRESS_LIMIT = 1_000;
const ADDRESS_WINDOW_MS = 10_000;
const MANY = 1_000_000;
const MAX_MB = 50;

type Judge = ReturnType<typeof createJudge>;

export async function limitRates(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const pair = await makeApiPair(context, ground, build);
  const judge = createJudge();
  const load = await overload(context, pair, judge);
  const excess = greatestExcess(load);
  judge.atMost('admitted, as a part of what the limit allows', excess.part, TOLERANCE);
  const admitted = load.filter(({ status }) => status === 200).length;
  const early = await judgeRetryAfter(pair, judge);
  const strangers = await sendStrangers(context, pair, judge);
  const memory = await measureMemory();
  judge.atMost('MB of the limiter at 10^6 keys', memory.clients, MAX_MB);
  judge.atMost('MB of the limiter at 10^6 addresses', memory.addresses, MAX_MB);
  return {
    measures: {
      ...{ requests: load.length, admitted },
      'worst stretch': `${excess.count} in ${excess.ms.toFixed(0)} ms, ${excess.part.toFixed(3)} of the limit`,
      'Retry-After': early,
      'strangers let through to 401': `${strangers} of ${context.scaled(STRANGERS)}`,
      'MB at 10^6 clients': memory.clients.toFixed(1),
      'MB at 10^6 addresses': memory.addresses.toFixed(1),
    },
    failures: judge.failures,
  };
}

async function keyOf(pair: ApiPair, client: string, limits: Partial<Tier>): Promise<string> {
  const tier = { ...DEFAULT_TIERS[0]!, ...limits, name: client, max_concurrency: null };
  await upsertTier(pair.scene.db, tier);
  const { key } = await createApiKey(pair.scene.db, {
    client,
    tier: client,
    scopes: ['recommend'],
  });
  return key;
}

/** Four times the rate, bursts across the edges of windows, one process killed in the middle. */
async function overload(context: ChaosContext, pair: ApiPair, judge: Judge): Promise<Reply[]> {
  const key = await keyOf(pair, 'greedy', { requests_per_second: RATE, burst: BURST });
  const ask = alternately(pair, key, PATH);
  const replies: Reply[] = [];
  for (let edge = 0; edge < context.scaled(EDGES); edge++) {
    // Rested, so that the whole burst is there; then as much on each side of the edge.
    await sleep(2 * WINDOW_MS + untilEdge() - 60);
    const shots = await Promise.all(Array.from({ length: BURST * 1.5 }, (_, i) => ask(i)));
    await sleep(Math.min(100, untilEdge()));
    shots.push(...(await Promise.all(Array.from({ length: BURST * 1.5 }, (_, i) => ask(i)))));
    replies.push(...shots);
    context.note(
      `edge ${edge + 1}: ${shots.filter((reply) => reply.status === 200).length} admitted`,
    );
  }
  const steady = openLoop(RATE * 4, ask);
  await sleep(STEADY_MS / 3);
  await pair.apis[1].process.kill();
  await sleep(STEADY_MS / 6);
  await pair.apis[1].process.start();
  await sleep(STEADY_MS / 2);
  const steadyReplies = await steady.stop();
  const refused = steadyReplies.filter((reply) => reply.status === 429);
  judge.atLeast('refused under steady overload', refused.length, 100);
  const wrong = refused.filter(({ retryAfter }) => !(Number(retryAfter) >= 1));
  judge.equal('429 without a Retry-After of at least 1', wrong.length, 0);
  const admitted = steadyReplies.filter((reply) => reply.status === 200).length;
  const seconds = steadyReplies.at(-1)!.atMs / 1_000 - steadyReplies[0]!.atMs / 1_000;
  judge.atLeast('admitted of the rate under steady overload', admitted / (RATE * seconds), 0.8);
  return [...replies, ...steadyReplies];
}

const untilEdge = () => WINDOW_MS - (Date.now() % WINDOW_MS);

interface Excess {
  readonly part: number;
  readonly count: number;
  readonly ms: number;
}

/**
 * The stretch of time with the most admitted, against what burst and rate allow in it. A request was
 * admitted between its sending and its answer, so one counts for a stretch that holds both.
 */
function greatestExcess(replies: readonly Reply[]): Excess {
  const admitted = replies
    .filter((reply) => reply.status === 200)
    .map(({ atMs, tookMs }) => ({ fromMs: atMs, toMs: atMs + tookMs }))
    .sort((a, b) => a.fromMs - b.fromMs);
  let worst: Excess = { part: 0, count: 0, ms: 0 };
  for (const lengthMs of [50, 100, 250, 500, 1_000, WINDOW_MS, 5_000, 10_000]) {
    let begin = 0;
    for (let at = 0; at < admitted.length; at++) {
      const endMs = admitted[at]!.fromMs + lengthMs;
      begin = at;
      let count = 0;
      for (let i = begin; i < admitted.length && admitted[i]!.fromMs < endMs; i++) {
        if (admitted[i]!.toMs <= endMs) count++;
      }
      const part = count / (BURST + (RATE * lengthMs) / 1_000);
      if (part > worst.part) worst = { part, count, ms: lengthMs };
    }
  }
  return worst;
}

/** An exhausted client asks until it is let in: not a second before or after what it was told. */
async function judgeRetryAfter(pair: ApiPair, judge: Judge): Promise<string> {
  const key = await keyOf(pair, 'slow', { requests_per_second: 1, burst: 10 });
  const ask = alternately(pair, key, PATH);
  const shots = await Promise.all(Array.from({ length: 30 }, (_, i) => ask(i)));
  judge.atMost('admitted of a burst of 30', shots.filter((r) => r.status === 200).length, 10);
  const told = await ask(0);
  const toldSeconds = Number(told.retryAfter);
  const fromMs = performance.now();
  for (let i = 0; (await ask(i)).status !== 200; i++) {
    if (performance.now() - fromMs > 60_000)
      throw new Error('an exhausted client was never let in');
    await sleep(100);
  }
  const waitedSeconds = (performance.now() - fromMs) / 1_000;
  judge.atMost('Retry-After off by, s', Math.abs(toldSeconds - waitedSeconds), 1.2);
  return `said ${toldSeconds} s, let in after ${waitedSeconds.toFixed(1)} s`;
}

/** Keys that nobody has, well formed, each from another forwarded address: one peer all the same. */
async function sendStrangers(context: ChaosContext, pair: ApiPair, judge: Judge): Promise<number> {
  const [{ url, agent }] = pair.apis;
  const startedAtMs = Date.now();
  const statuses: number[] = [];
  const count = context.scaled(STRANGERS);
  for (let sent = 0; sent < count; sent += 100) {
    const batch = Array.from({ length: Math.min(100, count - sent) }, (_, i) =>
      send({ url, key: generateApiKey().key, agent }, 'GET', PATH, undefined, {
        'x-forwarded-for': `203.0.${(sent + i) >> 8}.${(sent + i) & 255}`,
      }),
    );
    statuses.push(...(await Promise.all(batch)).map((reply) => reply.status));
  }
  const windows =
    Math.floor(Date.now() / ADDRESS_WINDOW_MS) - Math.floor(startedAtMs / ADDRESS_WINDOW_MS) + 1;
  const answered = statuses.filter((status) => status === 401).length;
  judge.atMost('strangers let through to 401', answered, ADDRESS_LIMIT * windows * TOLERANCE);
  judge.equal(
    'strangers without 401 or 429',
    statuses.filter((s) => s !== 401 && s !== 429).length,
    0,
  );
  return answered;
}

/** Heap that a million names leave behind, in this process. */
async function measureMemory(): Promise<{ clients: number; addresses: number }> {
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  const heapMb = () => {
    collect();
    return process.memoryUsage().heapUsed / 2 ** 20;
  };
  const store = {
    add: (_: unknown, n: number) => Promise.resolve(n),
    read: () => Promise.resolve(0),
  };
  const clients = createClientLimiter({
    ...{ store, fallback: store, clock: systemClock, storeTimeoutMs: 60_000 },
    onStoreFailure: () => undefined,
  });
  const addresses = createAddressLimiter({
    ...{ clock: { now: () => 0 }, limit: ADDRESS_LIMIT, windowMs: ADDRESS_WINDOW_MS },
  });
  const before = heapMb();
  const policy = { quota: BURST, windowMs: WINDOW_MS };
  for (let n = 0; n < MANY; n++) await clients.take(`client ${n}`, policy);
  const between = heapMb();
  for (let n = 0; n < MANY; n++) addresses.take(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
  const after = heapMb();
  return {
    clients: clients.size > 0 ? between - before : Number.NaN,
    addresses: addresses.size > 0 ? after - between : Number.NaN,
  };
}
