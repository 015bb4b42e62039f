/**
 * A1: every accepted event changes the database and its user's state exactly once, however often ingest is
 * killed. The broken build steps states, then commits the offset to Kafka.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import { startLoad } from './harness/kafka.js';
import type { Ground } from './harness/ground.js';
import { sampleOnce, startSampler } from './harness/sampler.js';
import {
  broken,
  comparisonMeasures,
  concludeStream,
  INGEST,
  makeStream,
} from './harness/stream.js';
import { eventually } from './harness/supervisor.js';
import { makeEvents, toRecord } from './harness/workload.js';

const EVENTS = 100_000;
const USERS = 997;
const KILLS = 20;
const TWIN_KILLS = 6;
const TWIN_EVENTS = 20_000;
/** So many at least for each kill: with 3,000, 15 of 20 found all that was sent stored already on a quick machine. */
const EVENTS_PER_KILL = 6_000;
/** Kills that have to find work: something in the log that was not stored. Most do; where none does, nothing is tried. */
const LEAST_SHARE_AT_WORK = 1 / 3;
const MOST_AFTER_PROGRESS_MS = 100;
const LONGEST_MS = 360_000;
const EVENTS_PER_SECOND = 4_000;

export async function killIngest(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { options, random, note } = context;
  const own = context.scaled(build === 'broken' ? TWIN_KILLS : KILLS);
  const kills = build === 'broken' ? own : (options.kills ?? own);
  const least = context.scaled(build === 'broken' ? TWIN_EVENTS : EVENTS);
  const count = Math.max(least, kills * EVENTS_PER_KILL);
  const startedAtMs = performance.now();
  const stream = await makeStream(context, ground);
  const { db, items } = stream.scene;
  const truth = makeEvents({
    ...{ seed: options.seed, events: count, users: USERS, items },
    startMs: Date.now() - 86_400_000,
  });
  const program = build === 'broken' ? broken('naive-ingest') : INGEST;
  const ingest = stream.ingest('ingest', { program });
  const sampler = startSampler(db, { intervalMs: 100, exact: build === 'product' });
  // A piece of the events for each life of ingest, and two ahead: with one, most kills came after all was stored.
  const piece = Math.ceil(count / (kills + 1));
  let done = 0;
  let atWork = 0;
  const load = startLoad(stream.brokers, stream.topic, truth.map(toRecord), EVENTS_PER_SECOND, {
    limit: () => (done < kills ? (done + 3) * piece : count),
  });
  const stored = () => sampler.latest()?.events ?? 0;
  for (; done < kills; done++) {
    const planned = Math.round(piece * (done + random.uniform()));
    // What is stored now, not at the last sample: progress is this life's own.
    const { events: before } = await sampleOnce(db);
    const wanted = Math.min(count, Math.max(planned, before + 1));
    await ingest.start();
    await eventually(`progress to ${wanted} events`, () => stored() >= wanted, 90_000);
    await sleep(random.int(MOST_AFTER_PROGRESS_MS));
    const sent = load.sent();
    await ingest.kill();
    // It is dead: nothing of what was sent by then is stored any more.
    const { events: left } = await sampleOnce(db);
    if (left < sent) atWork += 1;
    note(`kill ${done + 1} of ${kills} at ${left} of ${sent} events`);
  }
  await ingest.start();
  await load.done;
  note(`${load.sent()} events in the log`);
  const judge = createJudge();
  const comparison = await concludeStream(context, build, {
    ...{ stream, truth, processes: [ingest], sampler, judge },
  });
  const wallMs = performance.now() - startedAtMs;
  if (build === 'product') {
    judge.atLeast('kills that found work', atWork, Math.floor(kills * LEAST_SHARE_AT_WORK));
  }
  if (kills <= KILLS)
    judge.atMost('seconds in all', Math.round(wallMs / 1_000), LONGEST_MS / 1_000);
  return {
    measures: { kills: done, 'found work': atWork, ...comparisonMeasures(comparison) },
    failures: judge.failures,
  };
}
