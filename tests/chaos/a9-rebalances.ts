/**
 * A9: a rebalance while batches are applied does no harm. A second and a third ingest come and go every 2 to
 * 8 s for five minutes, over a database that is so far away that a batch takes seconds. The broken build
 * applies, then commits to a group that it may have left.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@nestrec/database';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { endOffsets, startLoad } from './harness/kafka.js';
import { startProxy } from './harness/proxy.js';
import { startSampler, type Sampler } from './harness/sampler.js';
import {
  broken,
  comparisonMeasures,
  concludeStream,
  INGEST,
  makeStream,
  type Stream,
} from './harness/stream.js';
import { makeEvents, toRecord } from './harness/workload.js';

const DURATION_MS = 300_000;
const TWIN_DURATION_MS = 60_000;
const USERS = 997;
const EVENTS_PER_SECOND = 150;
/** Each way, of every statement: a batch has about ten. */
const LATENCY_MS = 80;
const JITTER_MS = 40;
const LAG_GONE_WITHIN_MS = 30_000;

export async function rebalance(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { options, random, note } = context;
  const durationMs = context.scaled(build === 'broken' ? TWIN_DURATION_MS : DURATION_MS);
  const stream = await makeStream(context, ground);
  const { db, items } = stream.scene;
  const events = Math.round((durationMs / 1_000) * EVENTS_PER_SECOND * 1.2);
  const all = makeEvents({
    ...{ seed: options.seed, events, users: USERS, items },
    startMs: Date.now() - 86_400_000,
  });
  const far = new URL(stream.scene.url);
  const proxy = await startProxy(Number(far.port), random.fork('proxy'));
  context.defer(() => proxy.stop());
  await proxy.set({ latencyMs: LATENCY_MS, jitterMs: JITTER_MS });
  far.port = String(proxy.port);
  const program = build === 'broken' ? broken('naive-ingest') : INGEST;
  const members = [1, 2, 3].map((n) =>
    stream.ingest(`ingest ${n}`, { program, env: { DATABASE_URL: far.href } }),
  );
  const sampler = startSampler(db, { intervalMs: 200, exact: build === 'product' });
  const stopping = new AbortController();
  const records = all.map(toRecord);
  const load = startLoad(stream.brokers, stream.topic, records, EVENTS_PER_SECOND, {
    stop: stopping.signal,
  });
  await members[0]!.start();

  const startedAtMs = performance.now();
  const running = [false, false];
  const batchMs: number[] = [];
  let changes = 0;
  let removals = 0;
  while (performance.now() - startedAtMs < durationMs) {
    const until = performance.now() + 2_000 + random.int(6_000);
    while (performance.now() < until) {
      await sleep(100);
      batchMs.push(await oldestTransactionMs(db));
    }
    const which = random.int(2);
    const member = members[which + 1]!;
    // The first, the third, ... goes without a word to the group.
    const kill = running[which] === true && removals++ % 2 === 0;
    if (!running[which]) await member.start();
    else if (kill) await member.kill();
    else await member.stop();
    const what = running[which] ? (kill ? 'killed' : 'stopped') : 'started';
    running[which] = !running[which];
    changes += 1;
    note(`${member.name} ${what}; ${sampler.latest()?.events ?? 0} of ${load.sent()} stored`);
  }
  stopping.abort();
  await load.done;
  const judge = createJudge();
  const lagMs = build === 'broken' ? 0 : await lagGone(stream, sampler, performance.now());
  judge.atMost('ms until the lag was 0 after the last change', lagMs, LAG_GONE_WITHIN_MS);
  const truth = all.slice(0, load.sent());
  const comparison = await concludeStream(context, build, {
    ...{ stream, truth, processes: members, sampler, judge },
  });
  return {
    measures: {
      changes,
      'longest batch': `${(Math.max(...batchMs) / 1_000).toFixed(1)} s`,
      'lag gone after': Number.isFinite(lagMs) ? `${(lagMs / 1_000).toFixed(1)} s` : 'never',
      ...comparisonMeasures(comparison),
    },
    failures: judge.failures,
  };
}

/** Age of the oldest transaction of ingest that is open now, ms. */
async function oldestTransactionMs(db: Database): Promise<number> {
  const { rows } = await db.query<{ ms: number | null }>(
    `SELECT max(extract(epoch FROM now() - xact_start))::float8 * 1000 AS ms FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()`,
  );
  return rows[0]?.ms ?? 0;
}

/** Milliseconds from `sinceMs` until every position was at the end of its partition. */
async function lagGone(stream: Stream, sampler: Sampler, sinceMs: number): Promise<number> {
  const ends = await endOffsets(stream.brokers, stream.topic);
  while (performance.now() - sinceMs < 2 * LAG_GONE_WITHIN_MS) {
    const next = sampler.latest()?.next;
    if ([...ends].every(([partition, end]) => (next?.get(partition) ?? 0n) >= end)) {
      return performance.now() - sinceMs;
    }
    await sleep(50);
  }
  return Infinity;
}
