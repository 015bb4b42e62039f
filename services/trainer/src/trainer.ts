/**
 * The trainer as a service: queues a run at each tick of the cron, and works at what waits, in order. Any number
 * of them may run; they queue one run per tick between them, and one of them works at a time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@nestrec/database';
import type { TrainingMode } from '@nestrec/contracts';
import type { Logger } from '@nestrec/runtime';
import { lastTrainingSuccess, queueOneTrainingRun } from '@nestrec/storage';
import { LEAST_TICK_GAP_MS, startSchedule, type Schedule } from './schedule.js';
import type { TrainerMetrics } from './trainer-metrics.js';
import type { TrainingWorker } from './training-worker.js';

export interface TrainerOptions {
  readonly db: Database;
  readonly worker: TrainingWorker;
  readonly cron: { readonly expression: string; readonly mode: TrainingMode } | null;
  readonly logger: Logger;
  readonly metrics: TrainerMetrics;
  /** How often it looks for runs that wait. */
  readonly pollMs?: number;
  /** Rest after a run that time cures the failure of, so that its tries are not spent within a moment. */
  readonly restMs?: number;
}

export interface Trainer {
  start(): void;
  /** A run under way stops at its next safe point and is queued again. */
  stop(): Promise<void>;
  /** When the cron comes next; null without one. */
  nextTickMs(): number | null;
}

const DEFAULT_POLL_MS = 2_000;
const DEFAULT_REST_MS = 30_000;
/** Services of one cron tick within a moment of each other; their clocks may differ. */
const SAME_TICK_MS = LEAST_TICK_GAP_MS / 2;

export function createTrainer(options: TrainerOptions): Trainer {
  const { db, worker, cron, logger, metrics, pollMs = DEFAULT_POLL_MS } = options;
  const { restMs = DEFAULT_REST_MS } = options;
  const stopping = new AbortController();
  let schedule: Schedule | null = null;
  let loop: Promise<void> | null = null;

  const tick = async () => {
    const request = { requestedBy: 'cron', mode: cron!.mode, publish: true, options: {} };
    const run = await db.transaction((tx) => queueOneTrainingRun(tx, request, SAME_TICK_MS));
    if (run === null) logger.info('a training is queued already; this tick adds none');
    else logger.info({ run: String(run.id) }, 'a training was queued by the cron');
  };
  const pause = (ms = pollMs) =>
    sleep(ms, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
  const step = async () => {
    const success = await lastTrainingSuccess(db);
    if (success !== null) metrics.lastSuccess(success);
    const worked = await worker.work('queued');
    if (worked.outcome !== 'worked') await pause();
    else if (worked.result.kind === 'failed' && worked.result.retryable) await pause(restMs);
  };
  const run = async () => {
    while (!stopping.signal.aborted) {
      try {
        await step();
      } catch (error) {
        logger.error({ err: error }, 'the trainer could not look for runs; it tries again');
        await pause();
      }
    }
  };
  return {
    start: () => {
      loop ??= run();
      if (cron !== null) {
        schedule = startSchedule(cron.expression, tick, (error) =>
          logger.error({ err: error }, 'a tick of the cron could not queue a training'),
        );
      }
    },
    stop: async () => {
      stopping.abort();
      schedule?.stop();
      worker.stop();
      await loop;
    },
    nextTickMs: () => schedule?.nextAtMs() ?? null,
  };
}
