/**
 * A4: the group's offsets are moved under ingest, five times to the start and once to the end. The database's
 * position wins. The broken build believes the group.
 */
import type { Database } from '@nestrec/database';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { moveGroup, startLoad, type Load } from './harness/kafka.js';
import { sampleOnce, startSampler } from './harness/sampler.js';
import {
  broken,
  comparisonMeasures,
  concludeStream,
  INGEST,
  makeStream,
} from './harness/stream.js';
import { eventuallyOrStuck } from './harness/supervisor.js';
import { makeEvents, toRecord } from './harness/workload.js';

const EVENTS = 60_000;
const CI_EVENTS = 24_000;
const TWIN_EVENTS = 20_000;
const USERS = 997;
const REWINDS = 5;
const CI_REWINDS = 3;
const EVENTS_PER_SECOND = 800;
/** So much of the load is kept back for the jump to the end: it has to come while there is something to skip. */
const KEPT_FOR_JUMP = 0.1;
/** A consumer that was sent to the end has nothing to do while nobody produces. */
const STUCK_MS = 30_000;
const TWIN_STUCK_MS = 8_000;

export async function moveOffsets(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { options, random, note } = context;
  const stream = await makeStream(context, ground);
  const { db, items } = stream.scene;
  const whole = options.ci ? CI_EVENTS : EVENTS;
  const count = context.scaled(build === 'broken' ? TWIN_EVENTS : whole);
  const truth = makeEvents({
    ...{ seed: options.seed, events: count, users: USERS, items },
    startMs: Date.now() - 86_400_000,
  });
  const program = build === 'broken' ? broken('naive-ingest') : INGEST;
  const ingest = stream.ingest('ingest', { program });
  const sampler = startSampler(db, { intervalMs: 100, exact: build === 'product' });
  let jumping = false;
  const load = startLoad(stream.brokers, stream.topic, truth.map(toRecord), EVENTS_PER_SECOND, {
    limit: () => (jumping ? count : Math.ceil(count * (1 - KEPT_FOR_JUMP))),
  });
  await ingest.start();

  const rewinds = options.ci ? CI_REWINDS : REWINDS;
  const moves = [...new Array<'start'>(rewinds).fill('start'), 'end' as const];
  // Where in the sequence the jump to the end comes is chance.
  random.shuffle(moves);
  const stored = () => sampler.latest()?.events ?? 0;
  const judge = createJudge();
  let duringLoad = 0;
  let skipped = 0;
  for (const [index, to] of moves.entries()) {
    const wanted = Math.round(
      (count * (index + 0.2 + 0.6 * random.uniform())) / (moves.length + 1),
    );
    const stuckMs = build === 'broken' ? TWIN_STUCK_MS : STUCK_MS;
    const came = await eventuallyOrStuck(() => stored() >= wanted, stored, stuckMs);
    if (!came) note(`stuck at ${stored()} events, short of ${wanted}`);
    const isDuring = load.sent() < count;
    if (isDuring) duringLoad += 1;
    await ingest.stop();
    if (to === 'end') {
      jumping = true;
      skipped = await somethingToSkip(db, load);
    }
    await moveGroup(stream.brokers, stream.group, stream.topic, to);
    note(`offsets to the ${to} at ${stored()} events${isDuring ? '' : ', after the load'}`);
    await ingest.start();
  }
  await load.done;
  judge.atLeast('events that the jump would have skipped', skipped, 1);
  const comparison = await concludeStream(context, build, {
    ...{ stream, truth, processes: [ingest], sampler, judge },
  });
  return {
    measures: {
      ...{ rewinds, 'to the end': 1, 'during the load': duringLoad, 'would be skipped': skipped },
      ...comparisonMeasures(comparison),
    },
    failures: judge.failures,
  };
}

/** Ingest stands and the load goes on: waits until the log has what is not stored; tells how much. */
async function somethingToSkip(db: Database, load: Load): Promise<number> {
  const { events } = await sampleOnce(db);
  await eventuallyOrStuck(() => load.sent() > events, load.sent, STUCK_MS);
  return load.sent() - events;
}
