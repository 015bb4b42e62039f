/**
 * A7: a poison record stops nothing and is not lost; a database that is down for a minute sends nothing to
 * the dead letters. The broken build throws at what it cannot read.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@nestrec/database';
import { drawPoison, type PoisonRecord } from '../helpers/poison.js';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { readTopic, startLoad, type ReadRecord } from './harness/kafka.js';
import { lateness, startSampler } from './harness/sampler.js';
import {
  broken,
  comparisonMeasures,
  catchUp,
  concludeStream,
  INGEST,
  makeStream,
  type Stream,
} from './harness/stream.js';
import { eventually } from './harness/supervisor.js';
import { makeEvents, toRecord, type WireRecord } from './harness/workload.js';

const RECORDS = 100_000;
const CI_RECORDS = 26_000;
const TWIN_RECORDS = 5_000;
const POISON_ONE_IN = 100;
const USERS = 997;
/** Records that are sent before the clock runs. */
const FIRST = 50;
/** Slow enough that records still come when the outage is over and made up for. */
const RECORDS_PER_SECOND = 650;
const OUTAGE_MS = 60_000;
/** Its load outlasts it by twice ingest's longest pause, 5 s, and begins it after 8 s at most. */
const CI_OUTAGE_MS = 12_000;
const LATE_MS = 5_000;
/** The backlog of the outage is made up for once a record is as early as this. */
const ON_TIME_MS = 1_000;
const FORWARDED_WITHIN_MS = 60_000;
/** Names a poison record in the log; ingest does not look at headers. */
const HEADER = 'chaos-poison';

export async function poisonStream(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { options, random, note } = context;
  const stream = await makeStream(context, ground);
  const { db, items } = stream.scene;
  const whole = options.ci ? CI_RECORDS : RECORDS;
  const count = context.scaled(build === 'broken' ? TWIN_RECORDS : whole);
  const nowMs = Date.now();
  const poison = Array.from({ length: Math.round(count / POISON_ONE_IN) }, () =>
    drawPoison(random, { nowMs }),
  );
  const truth = makeEvents({
    ...{ seed: options.seed, events: count - poison.length, users: USERS, items },
    startMs: nowMs - 86_400_000,
  });
  const places = random.shuffle(truth.map((_, i) => i)).slice(0, poison.length);
  const records = interleave(truth.map(toRecord), poison, places);
  const program = build === 'broken' ? broken('naive-ingest') : INGEST;
  const ingest = stream.ingest('ingest', { program });
  const sampler = startSampler(db, { intervalMs: 100, exact: build === 'product' });
  await ingest.start();
  // The process starts and joins its group first: that is not what is late here.
  await startLoad(stream.brokers, stream.topic, records.slice(0, FIRST), Infinity).done;
  const some = () => (sampler.latest()?.events ?? 0) > 0;
  await eventually('the first events stored', some, 60_000);
  const startedAtMs = Date.now();
  const load = startLoad(stream.brokers, stream.topic, records.slice(FIRST), RECORDS_PER_SECOND);

  const outage = { fromMs: Infinity, untilMs: Infinity };
  if (build === 'product') {
    const wanted = Math.round(count * (0.1 + 0.1 * random.uniform()));
    await eventually(`${wanted} records sent`, () => load.sent() >= wanted, 120_000);
    outage.fromMs = Date.now();
    await ground.postgres.halt('fast');
    note(`database down after ${load.sent()} records`);
    await sleep(context.scaled(options.ci ? CI_OUTAGE_MS : OUTAGE_MS));
    await ground.postgres.start();
    outage.untilMs = Date.now();
    note(`database up after ${((outage.untilMs - outage.fromMs) / 1_000).toFixed(0)} s`);
  }
  await load.done;
  const judge = createJudge();
  await catchUp(context, stream, build, truth.length);
  const inLog = await readTopic(stream.brokers, stream.topic);
  const expected = expectedRejects(inLog, poison);
  const inTable = await compareRejects(db, expected);
  judge.equal('poison missing in the table, or with another reason', inTable.missing, 0);
  judge.equal('rejects that are no poison', inTable.foreign, 0);
  const inTopic = build === 'product' ? await compareTopic(stream, expected) : 0;
  if (build === 'product')
    judge.equal('poison in the topic of dead letters', inTopic, expected.size);
  const timed = inLog.filter(({ timestampMs }) => timestampMs >= startedAtMs);
  const late = lateness(sampler.samples, timed.map(toPlace));
  const { restMs, backMs } = judgeLateness(timed, late, outage);
  judge.atMost('greatest lateness apart from the outage, ms', restMs, LATE_MS);
  judge.holds('on time again before the load ended', Number.isFinite(backMs));
  const comparison = await concludeStream(context, build, {
    ...{ stream, truth, processes: [ingest], sampler, judge },
  });
  return {
    measures: {
      poison: poison.length,
      'dead letters in the table': inTable.found,
      'in the topic': inTopic,
      'not poison': inTable.foreign,
      'latest apart from the outage': `${(restMs / 1_000).toFixed(1)} s`,
      'on time again after the outage': `${(backMs / 1_000).toFixed(1)} s`,
      ...comparisonMeasures(comparison),
    },
    failures: judge.failures,
  };
}

/** Puts poison number i before the record number `places[i]`. */
function interleave(
  good: readonly WireRecord[],
  poison: readonly PoisonRecord[],
  places: readonly number[],
): WireRecord[] {
  const before = new Map(places.map((place, i) => [place, i]));
  return good.flatMap((record, place) => {
    const index = before.get(place);
    if (index === undefined) return [record];
    const { key, value } = poison[index]!;
    const bytes = value === null ? null : Buffer.from(value);
    return [{ key, value: bytes, headers: { [HEADER]: String(index) } }, record];
  });
}

interface ExpectedReject {
  readonly reason: string;
  readonly value: Buffer | null;
}

const placeName = (partition: number, offset: bigint | string) => `${partition}@${offset}`;

function expectedRejects(
  inLog: readonly ReadRecord[],
  poison: readonly PoisonRecord[],
): Map<string, ExpectedReject> {
  const expected = new Map<string, ExpectedReject>();
  for (const { partition, offset, value, headers } of inLog) {
    const index = headers[HEADER];
    if (index === undefined) continue;
    const { reason } = poison[Number(index)]!;
    expected.set(placeName(partition, offset), { reason, value });
  }
  if (expected.size !== poison.length) throw new Error('the log does not hold all of the poison');
  return expected;
}

interface RejectRow extends Record<string, unknown> {
  partition: number;
  log_offset: bigint;
  reason: string;
  record_value: Uint8Array | null;
}

async function compareRejects(db: Database, expected: ReadonlyMap<string, ExpectedReject>) {
  const { rows } = await db.query<RejectRow>(
    'SELECT partition, log_offset, reason, record_value FROM rejects',
  );
  let found = 0;
  let foreign = 0;
  for (const { partition, log_offset, reason, record_value } of rows) {
    const wanted = expected.get(placeName(partition, log_offset));
    if (wanted === undefined) foreign += 1;
    else if (wanted.reason === reason && sameBytes(wanted.value, record_value)) found += 1;
  }
  return { found, foreign, missing: expected.size - found };
}

const sameBytes = (a: Uint8Array | null, b: Uint8Array | null) =>
  a === null || b === null ? a === b : Buffer.from(a).equals(b);

interface Letter {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly reason: string;
}

/** How many of the poison the topic of dead letters has with topic, partition, offset and reason. */
async function compareTopic(stream: Stream, expected: ReadonlyMap<string, ExpectedReject>) {
  const deadline = performance.now() + FORWARDED_WITHIN_MS;
  for (;;) {
    const letters = (await readTopic(stream.brokers, stream.deadLetterTopic)).map(
      ({ value }) => JSON.parse(String(value)) as Letter,
    );
    const right = letters.filter(({ topic, partition, offset, reason }) => {
      const wanted = expected.get(placeName(partition, offset));
      return topic === stream.topic && wanted?.reason === reason;
    });
    // It is forwarded at least once, so the same place may come again.
    const places = new Set(right.map(({ partition, offset }) => placeName(partition, offset)));
    if (places.size >= expected.size || performance.now() > deadline) return places.size;
    await sleep(1_000);
  }
}

const toPlace = ({ partition, offset, timestampMs }: ReadRecord) => ({
  ...{ partition, offset, appendedAtMs: timestampMs },
});

/**
 * The greatest lateness of records that the outage did not touch, and when after it all partitions were on
 * time again. Touched are those of a partition that were appended from shortly before the outage until
 * the first that was on time after it; from then on each partition has to stay on time.
 */
function judgeLateness(
  inLog: readonly ReadRecord[],
  lateMs: readonly number[],
  outage: { readonly fromMs: number; readonly untilMs: number },
): { restMs: number; backMs: number } {
  const all = inLog.map(({ partition, timestampMs }, i) => {
    return { partition, atMs: timestampMs, lateMs: lateMs[i]! };
  });
  let restMs = 0;
  let backMs = 0;
  for (const partition of new Set(all.map((record) => record.partition))) {
    const order = all.filter((record) => record.partition === partition);
    order.sort((a, b) => a.atMs - b.atMs);
    const onTime = order.find(
      (record) => record.atMs > outage.untilMs && record.lateMs <= ON_TIME_MS,
    );
    const againMs = Number.isFinite(outage.untilMs) ? (onTime?.atMs ?? Infinity) : -Infinity;
    backMs = Math.max(backMs, againMs - outage.untilMs);
    for (const record of order) {
      const touched = record.atMs >= outage.fromMs - LATE_MS && record.atMs < againMs;
      if (!touched) restMs = Math.max(restMs, record.lateMs);
    }
  }
  return { restMs, backMs };
}
