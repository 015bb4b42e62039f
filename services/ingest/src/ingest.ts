/**
 * The ingest loop: reads the event log, applies it to interactions and states, and says how far it is.
 *
 * Faults of data are set aside with their bytes and progress goes on. Faults of infrastructure go back to
 * the log's subscription, which delivers the batch again, after a growing pause, for as long as it takes;
 * they never set a record aside.
 */
import type { Database, Listening } from '@nestrec/database';
import {
  EventLogUnavailable,
  EventLogUnsuitable,
  InvalidParameter,
  isError,
  NestrecError,
} from '@nestrec/errors';
import type {
  EventLog,
  LogBatch,
  OffsetRange,
  Subscription,
  SubscriptionStatus,
} from '@nestrec/event-log';
import { createUserHash, type Clock, type Logger, type MetricsRegistry } from '@nestrec/runtime';
import { createItemVectorCache, getPositions, pinPartitions } from '@nestrec/storage';
import { applyBatch, type BatchContext, type BatchOutcome } from './apply-batch.js';
import { createDeadLetterForwarder, type DeadLetterSettings } from './dead-letters.js';
import { followPointer } from './follow-pointer.js';
import { createIngestMetrics } from './ingest-metrics.js';
import { artifactModels, createModelCache, type LoadModel } from './model-source.js';
import { createProgress, type Progress } from './progress.js';
import { createStateSampler } from './state-sampler.js';

export interface IngestSettings {
  /** Records applied in one transaction at most. */
  readonly maxRecords: number;
  /** How often the lag is measured, ms. */
  readonly lagIntervalMs: number;
  /** How often a few random states are verified, ms; 0 = never. */
  readonly verifyIntervalMs: number;
}

export const DEFAULT_INGEST_SETTINGS: IngestSettings = {
  maxRecords: 500,
  lagIntervalMs: 5_000,
  verifyIntervalMs: 10_000,
};

/** Since the log last answered; readiness says no beyond it (reliability.md section 5). */
const MOST_SILENCE_MS = 10_000;

export interface IngestDeps {
  readonly db: Database;
  readonly log: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Where models come from; the artifacts that `model_versions` points to where absent. */
  readonly loadModel?: LoadModel;
  /** The topic of dead letters; without one, the table `rejects` is where they end. */
  readonly deadLetters?: Pick<EventLog, 'append' | 'topic'> | null;
  readonly deadLetterSettings?: Partial<DeadLetterSettings>;
  readonly settings?: Partial<IngestSettings>;
  /** How users appear in logs. Default: a hash with a key of this process's own. */
  readonly hashUser?: (userId: string) => string;
}

export interface Ingest extends Pick<Progress, 'appliedUpTo' | 'waitFor'> {
  /**
   * Begins to apply events, from the database's position. A log that cannot be reached is waited for.
   * @throws EventLogUnsuitable where the topic has another number of partitions than when it was first read
   */
  start(): Promise<void>;
  /** Ends at a batch border; the batch that runs is committed or rolled back whole. Safe twice. */
  stop(): Promise<void>;
  /** For readiness. @throws EventLogUnavailable while events are not being applied */
  check(): Promise<void>;
}

/** Composes ingest; does nothing before `start`. */
export function createIngest(deps: IngestDeps): Ingest {
  const { db, log, clock, logger } = deps;
  const settings = { ...DEFAULT_INGEST_SETTINGS, ...deps.settings };
  const metrics = createIngestMetrics(deps.metrics);
  const progress = createProgress();
  const vectors = createItemVectorCache();
  const models = createModelCache(deps.loadModel ?? artifactModels(db), clock, logger);
  const context: BatchContext = { db, log, clock, models, vectors };
  const hashUser = deps.hashUser ?? createUserHash(null);
  const sampler = createStateSampler({ db, models, metrics: deps.metrics, logger, hashUser });
  const forwarder = createForwarder(deps);
  let subscription: Subscription | null = null;
  let lagTimer: NodeJS.Timeout | null = null;
  let following: Listening | null = null;

  const positions = async (held: ReadonlyMap<number, OffsetRange>) => {
    await assertPartitions(db, log.topic, held, logger);
    const stored = await getPositions(db, log.topic);
    for (const { partition, nextOffset } of stored.values()) {
      progress.advance(partition, nextOffset);
    }
    return stored;
  };

  const committed = (partition: number, outcome: BatchOutcome) => {
    progress.advance(partition, outcome.nextOffset);
    metrics.batchApplied(outcome, clock.now());
    if (outcome.rejects.length > 0) {
      forwarder?.wake();
      // Reasons only: details may quote user ids, which logs do not hold; `rejects` has them.
      const reasons = [...new Set(outcome.rejects.map((fault) => fault.reason))];
      const { nextOffset, rejects } = outcome;
      logger.warn(
        { partition, belowOffset: String(nextOffset), records: rejects.length, reasons },
        'records of the log were set aside; see the table rejects',
      );
    }
  };

  const handler = async (batch: LogBatch) => {
    try {
      await applyIsolated(context, batch, (outcome) => committed(batch.partition, outcome));
    } catch (error) {
      metrics.batchRetried(error instanceof NestrecError ? error.code : 'unknown');
      throw error;
    }
  };

  const measure = async () => {
    const { crashes, failures } = subscription?.status() ?? { crashes: 0, failures: 0 };
    metrics.consumer(crashes, failures);
    // From the database: other processes apply other partitions.
    const stored = await getPositions(db, log.topic);
    for (const [partition, { next }] of await log.offsets()) {
      const applied = stored.get(partition)?.nextOffset ?? 0n;
      metrics.lag(partition, Number(next > applied ? next - applied : 0n));
    }
  };

  return {
    appliedUpTo: progress.appliedUpTo,
    waitFor: progress.waitFor,
    start: async () => {
      if (subscription !== null) return;
      await refuseChangedTopic(db, log, logger);
      forwarder?.start();
      following = followPointer(db, models, logger);
      subscription = await log.subscribe({ positions, handler, maxRecords: settings.maxRecords });
      lagTimer = setInterval(() => {
        measure().catch((error: unknown) => logger.debug({ err: error }, 'lag not measured'));
      }, settings.lagIntervalMs);
      lagTimer.unref();
      sampler.start(settings.verifyIntervalMs);
    },
    stop: async () => {
      if (lagTimer !== null) clearInterval(lagTimer);
      await following?.stop();
      await sampler.stop();
      await subscription?.stop();
      await forwarder?.stop();
      progress.close();
    },
    check: () => {
      const status = subscription?.status();
      if (status?.state === 'running' && !isSilent(status)) return Promise.resolve();
      return Promise.reject(
        new EventLogUnavailable({
          detail: `events are not being applied: ${status?.state ?? 'not started'}`,
          cause: status?.lastError,
        }),
      );
    },
  };
}

function createForwarder({ db, deadLetters, deadLetterSettings, logger, metrics }: IngestDeps) {
  if (deadLetters === undefined || deadLetters === null) return null;
  const settings = deadLetterSettings ?? {};
  return createDeadLetterForwarder({ db, deadLetters, logger, metrics, settings });
}

/** A log that has not answered for long is as good as one that is away. */
const isSilent = ({ lastPollAtMs }: SubscriptionStatus) =>
  lastPollAtMs !== null && Date.now() - lastPollAtMs > MOST_SILENCE_MS;

/** Looks before anything is read, so that a process does not start on a topic that it would refuse. */
async function refuseChangedTopic(db: Database, log: EventLog, logger: Logger): Promise<void> {
  try {
    await assertPartitions(db, log.topic, await log.offsets(), logger);
  } catch (error) {
    if (!isError(error, EventLogUnavailable)) throw error;
    logger.warn({ err: error }, 'the event log cannot be reached yet; waiting for it');
  }
}

async function assertPartitions(
  db: Database,
  topic: string,
  held: ReadonlyMap<number, OffsetRange>,
  logger: Logger,
): Promise<void> {
  const oldest = new Map([...held].map(([partition, { low }]) => [partition, low]));
  const { partitions, isFirst } = await pinPartitions(db, topic, oldest);
  const gone = [...oldest.values()].reduce((sum, low) => sum + low, 0n);
  if (isFirst && gone > 0n) {
    const text =
      'the topic is read for the first time; records that retention took before are not applied';
    logger.warn({ topic, records: String(gone) }, text);
  }
  if (partitions === held.size) return;
  throw new EventLogUnsuitable({
    detail:
      `topic ${topic} has ${held.size} partitions, and had ${partitions} when it was first read: users move ` +
      'to other partitions with that. If the topic was made anew, restore it or give it another name ' +
      '(KAFKA_TOPIC). If partitions were added on purpose, accept them: UPDATE log_topics SET partitions = ' +
      `${held.size} WHERE topic = '${topic}', and start again; all partitions are applied then, and events ` +
      'that come late by it are put where they belong',
  });
}

/**
 * Applies a batch; where the database refuses a value in it, applies its records one by one, and sets the
 * one aside that is refused again.
 */
async function applyIsolated(
  context: BatchContext,
  batch: LogBatch,
  committed: (outcome: BatchOutcome) => void,
): Promise<void> {
  try {
    committed(await applyBatch(context, batch));
    return;
  } catch (error) {
    if (!isError(error, InvalidParameter)) throw error;
    if (batch.records.length === 1) {
      const fault = {
        reason: 'refused_by_database',
        detail: error.detail ?? error.message,
      } as const;
      committed(await applyBatch(context, batch, fault));
      return;
    }
  }
  for (const record of batch.records) {
    await applyIsolated(context, { ...batch, records: [record] }, committed);
  }
}
