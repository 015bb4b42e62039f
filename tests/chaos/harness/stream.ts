/**
 * What the runs of the stream share: topics, a database with a model, ingest processes between them, and
 * the end of a run: everything caught up, everybody stopped, the stores compared with the truth.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Build, ChaosContext, createJudge } from './context.js';
import { createTopics, endOffsets } from './kafka.js';
import type { Ground } from './ground.js';
import { makeScene, type Scene } from './scene.js';
import { sampleOnce, type Sample, type Sampler } from './sampler.js';
import { lastingPort } from '../../helpers/processes.js';
import { supervise, tail, type Supervised } from './supervisor.js';
import { compareWithReplay, compareWithTruth, type Comparison } from './verify.js';
import type { WorkloadEvent } from './workload.js';

export const SESSION_TIMEOUT_MS = 3_000;
export const INGEST = new URL('../../../services/ingest/src/main.ts', import.meta.url);
export const broken = (name: string) => new URL(`../broken/${name}.ts`, import.meta.url);

export interface Stream {
  readonly scene: Scene;
  readonly brokers: string;
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly group: string;
  /** A process that is not started yet; killed at the end of the run, whatever happens. */
  ingest(name: string, options?: IngestOptions): Supervised;
}

export interface IngestOptions {
  /** The product where absent. */
  readonly program?: URL;
  readonly env?: Readonly<Record<string, string>>;
}

let streams = 0;
/** Ingest processes of a run at most. */
const MOST_PROCESSES = 6;

export async function makeStream(
  context: ChaosContext,
  ground: Ground,
  options: {
    readonly partitions?: number;
    /** Others than the ground's one broker. */
    readonly brokers?: string;
    readonly replicationFactor?: number;
  } = {},
): Promise<Stream> {
  const name = `chaos.${process.pid}.${(streams += 1)}`;
  const topic = `${name}.v1`;
  const deadLetterTopic = `${name}.dlq.v1`;
  const brokers = options.brokers ?? ground.kafka.brokers;
  const scene = await makeScene(context, ground.postgres.url);
  const ports = await Promise.all(Array.from({ length: MOST_PROCESSES }, lastingPort));
  const { partitions = 4, replicationFactor = 1 } = options;
  await createTopics(brokers, [topic, deadLetterTopic], partitions, replicationFactor);
  return {
    ...{ scene, brokers, topic, deadLetterTopic, group: name },
    ingest: (processName, { program = INGEST, env = {} } = {}) => {
      const supervised = supervise(
        {
          ...{ name: processName, program, readyLine: null, keepAlive: true },
          env: {
            DATABASE_URL: scene.url,
            KAFKA_BROKERS: brokers,
            KAFKA_TOPIC: topic,
            KAFKA_DEAD_LETTER_TOPIC: deadLetterTopic,
            KAFKA_CONSUMER_GROUP: name,
            KAFKA_SESSION_TIMEOUT: `${SESSION_TIMEOUT_MS}ms`,
            NESTREC_INGEST_PORT: String(ports.pop()),
            NESTREC_LOG_LEVEL: 'info',
            ...env,
          },
        },
        context.note,
      );
      context.defer(async () => {
        supervised.thaw();
        await supervised.kill();
      });
      return supervised;
    },
  };
}

const STUCK_MS = 45_000;

/** What counts as caught up besides the events: a naive consumer keeps no positions. */
const reached = (sample: Sample, ends: ReadonlyMap<number, bigint>) =>
  [...ends].every(([partition, next]) => (sample.next.get(partition) ?? 0n) >= next);

/**
 * Waits until as many events are stored as there should be and, with the product, every position is at the
 * end of its partition; false when nothing moved for 45 s.
 */
export async function catchUp(
  context: ChaosContext,
  stream: Stream,
  build: Build,
  events: number,
): Promise<boolean> {
  const ends = await endOffsets(stream.brokers, stream.topic);
  let before = '';
  let movedAtMs = performance.now();
  for (;;) {
    const sample = await sampleOnce(stream.scene.db).catch(() => null);
    if (sample !== null) {
      const complete = sample.events >= events && (build === 'broken' || reached(sample, ends));
      if (complete) return true;
      const state = [sample.events, ...sample.next.values()].join();
      if (state !== before) movedAtMs = performance.now();
      before = state;
    }
    if (performance.now() - movedAtMs > STUCK_MS) {
      context.note(`nothing moved for ${STUCK_MS / 1_000} s; stored ${sample?.events ?? '?'}`);
      return false;
    }
    await sleep(100);
  }
}

/** The common end: caught up, stopped, sampled, compared; what is broken goes to the judge. */
export async function concludeStream(
  context: ChaosContext,
  build: Build,
  parts: {
    readonly stream: Stream;
    readonly truth: readonly WorkloadEvent[];
    readonly processes: readonly Supervised[];
    readonly sampler: Sampler | null;
    readonly judge: ReturnType<typeof createJudge>;
    /** Whether ingest writes positions; absent: the product does. */
    readonly keepsPositions?: boolean;
  },
): Promise<Comparison> {
  const { stream, truth, processes, sampler, judge } = parts;
  const { db, model } = stream.scene;
  const counted = (parts.keepsPositions ?? build === 'product') ? 'product' : 'broken';
  const complete = await catchUp(context, stream, counted, truth.length);
  judge.holds('ingest came to the end of the log', complete);
  for (const one of processes) {
    const code = await one.stop().catch((error: unknown) => {
      context.note((error as Error).message);
      return null;
    });
    context.note(`${one.name} stopped (code ${code})`);
  }
  const seen = await sampler?.stop();
  const comparison = await compareWithTruth(db, model, truth);
  judge.equal('lost', comparison.lost, 0);
  judge.equal('doubled', comparison.doubled, 0);
  judge.equal('wrong states', comparison.wrong, 0);
  if (seen !== undefined) {
    judge.equal('samples that went back', seen.wentBack, 0);
    judge.equal('samples with events without their states', seen.torn, 0);
    judge.atMost('events seen at most', seen.most, truth.length);
  }
  const replay = await compareWithReplay(db, model);
  judge.equal('A5: states that differ from their replay', replay.differing, 0);
  for (const example of comparison.examples) context.note(`wrong: ${example}`);
  if (judge.failures.length > 0 && build === 'product') {
    for (const one of processes) context.note(`last words of ${one.name}:\n${tail(one.output())}`);
  }
  return comparison;
}

export const comparisonMeasures = (comparison: Comparison) => ({
  events: comparison.expected,
  users: comparison.users,
  lost: comparison.lost,
  doubled: comparison.doubled,
  'wrong states': comparison.wrong,
});
