/**
 * Works at training runs, one at a time, for as long as it holds the claim: a process does the training, this
 * one keeps the lease, and ends the process when the claim is lost or the run is called off.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { sqlState, type Database } from '@nestrec/database';
import type { Clock, Logger } from '@nestrec/runtime';
import {
  beatTrainingRun,
  claimTrainingRun,
  endTrainingRun,
  getTrainingRun,
  nameTrainingVersion,
  type Claim,
  type ClaimOptions,
  type TrainingHolder,
  type TrainingRun,
} from '@nestrec/storage';
import type { JobProcess, StartJob } from './job-process.js';
import type { JobProgress, JobResult, JobSettings } from './job.js';
import type { TrainerMetrics } from './trainer-metrics.js';

export interface LeaseTimes {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly graceMs: number;
}

/**
 * A killed trainer is succeeded after `graceMs` (its session ends with it), a frozen one after `leaseMs`.
 * Within the grace a trainer whose connection was lost takes its lock again.
 */
export const LEASE_TIMES: LeaseTimes = { heartbeatMs: 500, leaseMs: 10_000, graceMs: 2_000 };

/** Tries in all of what a service was asked for. */
const ATTEMPTS = 3;

export interface TrainingWorkerOptions {
  /** A database of one connection for this alone (embedded: the database itself). */
  readonly session: Database;
  readonly startJob: StartJob;
  readonly settings: JobSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: TrainerMetrics;
  readonly times?: LeaseTimes;
  readonly onProgress?: (progress: JobProgress) => void;
}

export type Worked =
  | { readonly outcome: 'empty' }
  | { readonly outcome: 'busy'; readonly run: TrainingRun | null }
  | { readonly outcome: 'worked'; readonly run: TrainingRun; readonly result: JobResult };

export interface TrainingWorker {
  /** Claims a run and works at it to its end. */
  work(take: ClaimOptions['take']): Promise<Worked>;
  /** Lets a run under way stop at its next safe point; whoever trains next goes on from there. */
  stop(): void;
}

const LOCK_NOT_AVAILABLE = '55P03';

export function createTrainingWorker(options: TrainingWorkerOptions): TrainingWorker {
  const { session, clock, logger, metrics, times = LEASE_TIMES } = options;
  const holder: TrainingHolder = { pid: process.pid, host: hostname(), instance: randomUUID() };
  let job: JobProcess | null = null;
  let stopping = false;

  const claim = async (take: ClaimOptions['take']): Promise<Claim | { outcome: 'locked' }> => {
    try {
      const { leaseMs, graceMs } = times;
      return await claimTrainingRun(session, {
        holder,
        take,
        leaseMs,
        graceMs,
        attempts: ATTEMPTS,
      });
    } catch (error) {
      // The holder publishes just now, or was frozen while it did: a transaction of its own holds the run.
      if (sqlState(error) === LOCK_NOT_AVAILABLE) return { outcome: 'locked' };
      throw error;
    }
  };
  return {
    work: async (take) => {
      const claimed = await claim(take);
      if (claimed.outcome === 'locked') return { outcome: 'busy', run: null };
      if (claimed.outcome !== 'claimed') return claimed;
      const { run } = claimed;
      const startedAtMs = clock.now();
      metrics.started();
      const held = await workAt(options, times, run, (started) => {
        job = started;
        if (stopping) started.stop();
      });
      job = null;
      const end = endOf(held, run, stopping);
      const ended = await endTrainingRun(session, { ...run, ...end });
      metrics.ended(ended ? end.status : 'abandoned', (clock.now() - startedAtMs) / 1_000);
      logger.info({ run: String(run.id), ...end, version: run.version }, 'a training run ended');
      return {
        outcome: 'worked',
        run: (await getTrainingRun(session, run.id)) ?? run,
        result: ended ? held : { kind: 'lease_lost' },
      };
    },
    stop: () => {
      stopping = true;
      job?.stop();
    },
  };
}

type Claimed = Extract<Claim, { outcome: 'claimed' }>['run'];

/** Has the run worked at, with heartbeats beside it. */
async function workAt(
  options: TrainingWorkerOptions,
  times: LeaseTimes,
  run: Claimed,
  started: (job: JobProcess) => void,
): Promise<JobResult> {
  const version = run.version ?? versionOf(options.clock.now(), run.fence);
  const { id, fence, mode, publish } = run;
  if (!(await nameTrainingVersion(options.session, run, version))) return { kind: 'lease_lost' };
  const { logger } = options;
  logger.info({ run: String(id), version, mode, continues: run.continues !== null }, 'training');
  let progress: JobProgress = { stage: 'Starting', share: null };
  const job = options.startJob(
    {
      run: {
        id,
        fence,
        mode,
        publish,
        version,
        options: run.options,
        continues: run.continues !== null,
      },
      settings: options.settings,
    },
    (next) => {
      progress = next;
      options.onProgress?.(next);
    },
  );
  started(job);
  const beats = keepLease(options, times, run, () => progress, job);
  try {
    const result = await job.result;
    return beats.lost() ? { kind: 'lease_lost' } : result;
  } finally {
    await beats.stop();
  }
}

/** Prolongs the lease until stopped; kills the job when the lease is another's, stops it when called off. */
function keepLease(
  { session, logger }: TrainingWorkerOptions,
  { heartbeatMs, leaseMs }: LeaseTimes,
  { id, fence }: Claimed,
  progress: () => JobProgress,
  job: JobProcess,
) {
  let lost = false;
  let heldUntilMs = performance.now() + leaseMs;
  let under: Promise<void> | null = null;
  const lose = (reason: string) => {
    if (!lost) logger.error({ run: String(id), reason }, 'the training run is lost');
    lost = true;
    job.kill();
  };
  const beat = async () => {
    const askedAtMs = performance.now();
    try {
      const { stage, share } = progress();
      const state = await beatTrainingRun(session, { id, fence, leaseMs, stage, share });
      if (state === null) return lose('another trainer took it over');
      heldUntilMs = askedAtMs + leaseMs;
      if (state.cancelRequested) job.stop();
    } catch (error) {
      logger.warn({ err: error, run: String(id) }, 'a heartbeat failed');
      // From here on another may have it: what the job does can only be in vain.
      if (performance.now() > heldUntilMs)
        lose('no heartbeat went through for as long as the lease lasts');
    }
  };
  const timer = setInterval(() => {
    under ??= beat().finally(() => (under = null));
  }, heartbeatMs);
  return {
    lost: () => lost,
    stop: async () => {
      clearInterval(timer);
      await under;
    },
  };
}

interface End {
  readonly status: 'succeeded' | 'refused' | 'failed' | 'cancelled' | 'abandoned';
  readonly reason: string | null;
  readonly againAsAttempt?: number;
}

/**
 * A service is asked again for what it was stopped in, lost a process over, or found no database for; a command is
 * not. What is asked again is abandoned and not failed, so that the next run goes on with its version: it may be
 * trained already.
 */
function endOf(result: JobResult, run: Claimed, stopping: boolean): End {
  const again = (attempt: number) =>
    run.requestedBy !== 'cli' && attempt <= ATTEMPTS ? { againAsAttempt: attempt } : {};
  switch (result.kind) {
    case 'published':
      return { status: 'succeeded', reason: null };
    case 'trained':
      return { status: 'succeeded', reason: 'it was not asked to be published' };
    case 'refused':
      return { status: 'refused', reason: result.reason };
    case 'failed':
      return result.retryable && (run.requestedBy === 'cli' || run.attempt < ATTEMPTS)
        ? { status: 'abandoned', reason: result.reason, ...again(run.attempt + 1) }
        : { status: 'failed', reason: result.reason };
    case 'died':
      return { status: 'abandoned', reason: result.reason, ...again(run.attempt + 1) };
    case 'interrupted':
      return stopping
        ? { status: 'abandoned', reason: 'its trainer was stopped', ...again(run.attempt) }
        : { status: 'cancelled', reason: 'it was called off' };
    case 'lease_lost':
      return { status: 'abandoned', reason: 'its trainer lost the lease' };
  }
}

/** `v20261123_142305_7`: sorts by time; the fence tells those of one second apart. */
function versionOf(nowMs: number, fence: number): string {
  const digits = new Date(nowMs).toISOString().replace(/\D/g, '');
  return `v${digits.slice(0, 8)}_${digits.slice(8, 14)}_${fence}`;
}
