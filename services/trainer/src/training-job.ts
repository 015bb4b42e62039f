/**
 * The work of one training run: trains the candidate and lets it answer when it passes the checks, unless the
 * run was taken over meanwhile. Runs in a process of its own (`job-main.ts`); knows nothing of the queue.
 */
import { join } from 'node:path';
import type { Manifest } from '@nestrec/contracts';
import type { Database, Queryable } from '@nestrec/database';
import {
  DatabaseUnavailable,
  Interrupted,
  isError,
  NestrecError,
  PublishConflict,
  PublishRefused,
  TrainingLeaseLost,
} from '@nestrec/errors';
import { publishVersion, shortlistIndexOf } from '@nestrec/publishing';
import { loadArtifact } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import {
  ensureDefaultTiers,
  getPublished,
  getVersion,
  listLeftVersions,
  listTiers,
  markTrainingPublished,
} from '@nestrec/storage';
import { workersBesideServing } from './beside-serving.js';
import { measureCandidate } from './candidate-evaluation.js';
import type { JobProgress, JobResult, JobRun, TrainingJob } from './job.js';
import { planTraining, type TrainingPlan } from './plan-training.js';
import { removeHalfWritten, runTraining } from './training-run.js';

const DEFAULTS = { preset: 'quality', protocol: 'leave-one-out', textWidth: 256, seed: 1 } as const;
const DAY_MS = 86_400_000;

export interface JobContext {
  readonly db: Database;
  readonly logger: Logger;
  readonly report: (progress: JobProgress) => void;
  readonly signal: AbortSignal;
  readonly commit: string | null;
}

/** Does the work; whatever goes wrong is in the result. The backend is chosen before. */
export async function runTrainingJob(context: JobContext, job: TrainingJob): Promise<JobResult> {
  try {
    await train(context, job);
    const { version, publish } = job.run;
    if (!publish) return { kind: 'trained', version };
    context.signal.throwIfAborted();
    return await publishInTurn(context, job);
  } catch (error) {
    return resultOf(error, context.signal);
  }
}

function resultOf(error: unknown, signal: AbortSignal): JobResult {
  if (isError(error, TrainingLeaseLost)) return { kind: 'lease_lost' };
  if (isError(error, Interrupted) || (signal.aborted && error === signal.reason)) {
    return { kind: 'interrupted' };
  }
  const reason = error instanceof Error ? error.message : String(error);
  if (isError(error, PublishRefused)) return { kind: 'refused', reason };
  return failureOf(error);
}

/** Errors that time cures, so that the run is worth another try; that nothing is published to begin with is none. */
const CURED_BY_TIME = [DatabaseUnavailable, PublishConflict];

export function failureOf(error: unknown): JobResult {
  return {
    kind: 'failed',
    code: error instanceof NestrecError ? error.code : 'internal_error',
    reason: error instanceof Error ? error.message : String(error),
    retryable: CURED_BY_TIME.some((one) => isError(error, one)),
  };
}

/** What is not asked for is as in the model that answers, so that a plain retraining makes its successor. */
async function planOf(db: Queryable, { mode, options: asked }: JobRun): Promise<TrainingPlan> {
  const like = mode === 'full' ? (await publishedManifest(db))?.config : undefined;
  const sameShape = asked.sizes === undefined && asked.blocks === undefined;
  return planTraining(db, {
    ...{ mode, startFrom: asked.start_from, preset: asked.preset ?? DEFAULTS.preset },
    ...{ sizes: asked.sizes ?? like?.sizes, blocks: asked.blocks ?? like?.blocks },
    exits: asked.exits ?? (sameShape ? like?.exits : undefined),
    overrides: asked.epochs === undefined ? {} : { maxEpochs: asked.epochs },
  });
}

async function train(
  { db, report, signal, commit }: JobContext,
  { run, settings }: TrainingJob,
): Promise<void> {
  const { options } = run;
  // Whether this run goes on with one of them or was asked for something else: this one alone works now.
  for (const left of await listLeftVersions(db)) await removeHalfWritten(settings, left);
  const workers = settings.trainWorkers ?? (await workersBesideServing(db));
  let stage = '';
  await runTraining({
    ...{ db, signal, commit, version: run.version, continues: run.continues },
    ...(await planOf(db, run)),
    ...{ modelsDir: settings.modelsDir, checkpointsDir: settings.checkpointsDir },
    ...{ eventsInMemory: settings.eventsInMemory, workers },
    protocol: options.protocol ?? DEFAULTS.protocol,
    textWidth: options.text_width ?? DEFAULTS.textWidth,
    seed: options.seed ?? DEFAULTS.seed,
    window: {
      durationMs: options.window_days === undefined ? undefined : options.window_days * DAY_MS,
      maxEventsPerUser: options.max_events_per_user,
    },
    onStage: (next) => {
      stage = next;
      report({ stage, share: null });
    },
    onProgress: (progress) => {
      if (progress.kind === 'step') report({ stage, share: progress.step / progress.totalSteps });
      else if (progress.kind === 'note') report({ stage, share: null, note: progress.text });
    },
  });
}

async function publishedManifest(db: Queryable): Promise<Manifest | null> {
  const pointer = await getPublished(db);
  return pointer && ((await getVersion(db, pointer.version))?.manifest ?? null);
}

/** Where somebody published or rolled back meanwhile, once more at once: judged by what answers now. */
async function publishInTurn(context: JobContext, job: TrainingJob): Promise<JobResult> {
  try {
    return await publishCandidate(context, job);
  } catch (error) {
    if (!isError(error, PublishConflict)) throw error;
    context.logger.warn({ err: error, version: job.run.version }, 'not published; once more');
    context.signal.throwIfAborted();
    return publishCandidate(context, job);
  }
}

const PUBLISH_WAIT_MS = 600_000;

async function publishCandidate(
  { db, report, logger }: JobContext,
  { run, settings }: TrainingJob,
): Promise<JobResult> {
  const path = join(settings.modelsDir, run.version);
  const artifact = await loadArtifact(path);
  await ensureDefaultTiers(db);
  const result = await publishVersion({
    ...{ db, artifact, path, logger },
    tiers: await listTiers(db),
    keepPrevious: settings.keepVersions,
    shortlistIndex: shortlistIndexOf(settings.shortlistForm),
    // Where somebody published or rolled back while this run was training.
    measure: (candidate, against) =>
      measureCandidate(db, candidate, against, {
        ...{ folder: settings.checkpointsDir, eventsInMemory: settings.eventsInMemory },
      }),
    onProgress: ({ phase, done, total }) => {
      report({ stage: `Publishing: ${phase}`, share: total > 0 ? done / total : null });
    },
    // A training of hours is not lost because somebody publishes just now.
    waitMs: PUBLISH_WAIT_MS,
    guard: async (tx) => {
      if (!(await markTrainingPublished(tx, run))) throw leaseLost(run.id);
    },
  });
  return { kind: 'published', version: result.version, previous: result.previousVersion };
}

export const leaseLost = (id: bigint) =>
  new TrainingLeaseLost({
    detail: `run ${id} was taken over by another trainer or called off; nothing was published`,
  });
