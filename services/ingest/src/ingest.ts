/**
 * The ingest loop: reads the event log, applies it to interactions and states, and says how far it is.
 *
 * Faults of data are set aside with their bytes and progress goes on. Faults of infrastructure go back to
 * the log's subscription, which delivers the batch again, after a growing pause, for as long as it takes;
 * they never set a record aside.
 */
import type { Database } from '@nestrec/database';
import { EventLogUnavailable, InvalidParameter, isError, NestrecError } from '@nestrec/errors';
import type { EventLog, LogBatch, Subscription } from '@nestrec/event-log';
import type { Clock, Logger, MetricsRegistry } from '@nestrec/runtime';
import { createItemVectorCache, getPositions } from '@nestrec/storage';
import { applyBatch, type BatchContext, type BatchOutcome } from './apply-batch.js';
import { createDeadLetterForwarder, type DeadLetterSettings } from './dead-letters.js';
import { createIngestMetrics } from './ingest-metrics.js';
import { artifactModels, createModelCache, type LoadModel } from './model-source.js';
import { createProgress, type Progress } from './progress.js';

export interface IngestSettings {
  /** Records applied in one transaction at most. */
  readonly maxRecords: number;
  /** How often the lag is measured, ms. */
  readonly lagIntervalMs: number;
}

export const DEFAULT_INGEST_SETTINGS: IngestSettings = { maxRecords: 500, lagIntervalMs: 5_000 };

export interface IngestDeps {
  readonly db: Database;
  readonly log: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Where models come from; the artifacts that `model_versions` points to where absent. */
  readonly loadModel?: LoadModel;
  /** The topic of dead letters; without one, the table `rejects` is where they end. */
  readonly deadLetters?: Pick<EventLog, 'append' | 'topic'>;
  readonly deadLetterSettings?: Partial<DeadLetterSettings>;
  readonly settings?: Partial<IngestSettings>;
}

export interface Ingest extends Pick<Progress, 'appliedUpTo' | 'waitFor'> {
  /** Begins to apply events, from the database's position. */
  start(): Promise<void>;
  /** Ends at a batch border; the batch that runs is committed or rolled back whole. Safe twice. */
  stop(): Promise<void>;
  /** For readiness. @throws EventLogUnavailable while events are not being applied */
  check(): Promise<void>;
  /** Says that an item's vectors changed, so that the next event of it takes the new one. */
  forgetItem(itemId: string): void;
}

/** Composes ingest; does nothing before `start`. */
export function createIngest(deps: IngestDeps): Ingest {
  const { db, log, clock, logger } = deps;
  const settings = { ...DEFAULT_INGEST_SETTINGS, ...deps.settings };
  const metrics = createIngestMetrics(deps.metrics);
  const progress = createProgress();
  const vectors = createItemVectorCache();
  const models = createModelCache(deps.loadModel ?? artifactModels(db), clock, logger);
  const context: BatchContext = { db, topic: log.topic, clock, models, vectors };
  const forwarder = createForwarder(deps);
  let subscription: Subscription | null = null;
  let lagTimer: NodeJS.Timeout | null = null;

  const positions = async () => {
    const stored = await getPositions(db, log.topic);
    for (const { partition, nextOffset } of stored.values()) {
      progress.advance(partition, nextOffset);
    }
    return new Map([...stored].map(([partition, p]) => [partition, p.nextOffset]));
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

  const measureLag = async () => {
    for (const [partition, { next }] of await log.offsets()) {
      const applied = progress.appliedUpTo().get(partition) ?? 0n;
      metrics.lag(partition, Number(next - applied));
    }
  };

  return {
    appliedUpTo: progress.appliedUpTo,
    waitFor: progress.waitFor,
    forgetItem: vectors.forget,
    start: async () => {
      if (subscription !== null) return;
      await positions();
      forwarder?.start();
      subscription = await log.subscribe({ positions, handler, maxRecords: settings.maxRecords });
      lagTimer = setInterval(() => {
        measureLag().catch((error: unknown) => logger.debug({ err: error }, 'lag not measured'));
      }, settings.lagIntervalMs);
      lagTimer.unref();
    },
    stop: async () => {
      if (lagTimer !== null) clearInterval(lagTimer);
      await subscription?.stop();
      await forwarder?.stop();
      progress.close();
    },
    check: () => {
      const status = subscription?.status();
      if (status?.state === 'running') return Promise.resolve();
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
  if (deadLetters === undefined) return null;
  const settings = deadLetterSettings ?? {};
  return createDeadLetterForwarder({ db, deadLetters, logger, metrics, settings });
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
