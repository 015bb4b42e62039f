/**
 * `nestrec retrain`: what an external cron calls. Queues a training and works at it itself; where another trainer
 * works, it leaves with 75, or waits. A running server that holds the embedded database is asked instead.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { presentTrainingRun } from '@nestrec/api';
import {
  trainingModeSchema,
  trainingRunAnswerSchema,
  type TrainingMode,
  type TrainingOptions,
  type TrainingRunAnswer,
  type TrainingRunRequest,
} from '@nestrec/contracts';
import { openPostgres, type Database } from '@nestrec/database';
import {
  errorCatalogue,
  Interrupted,
  NestrecError,
  TrainerBusy,
  TrainingFailed,
} from '@nestrec/errors';
import { createMetrics, systemClock } from '@nestrec/runtime';
import type { TrainingRun } from '@nestrec/storage';
import {
  createTrainerMetrics,
  createTrainingWorker,
  jobSettings,
  startJobProcess,
  type JobResult,
  type TrainingWorker,
  type Worked,
} from '@nestrec/trainer';
import { defineAction, type CommandContext, type Invocation } from '../command-context.js';
import { listenForInterruption } from '../interruption.js';
import type { Output } from '../output.js';
import type { Platform } from '../platform.js';
import { followRun, RUNS } from '../follow-run.js';
import { directOrRemote, type AdminRequest } from '../running-server.js';
import { addRetrainOptions, choice } from '../training-options.js';
import { describeRun } from './runs.js';

/** The candidate was trained and not let through: neither a success nor a fault. */
export const REFUSED_EXIT_CODE = 3;
const POLL_MS = 500;

interface RetrainOptions extends TrainingOptions {
  mode: TrainingMode;
  publish: boolean;
  wait?: boolean;
  json?: boolean;
  textWidth?: number;
  startFrom?: string;
  windowDays?: number;
  maxEventsPerUser?: number;
}

export function addRetrain(program: Command, invocation: Invocation): void {
  const command = addRetrainOptions(
    program
      .command('retrain')
      .description(
        'train on what is stored by now and let the result answer when it passes the checks',
      )
      .option(
        '--mode <name>',
        `what is trained: ${trainingModeSchema.options.join(', ')}`,
        choice(trainingModeSchema.options),
        'full',
      )
      .option('--no-publish', 'only register the candidate')
      .option('--wait', 'wait while another trainer works, instead of leaving with exit code 75'),
  ).addHelpText(
    'after',
    '\nWhat is not said is as in the published model. Exit codes: 0 it answers now, 3 the checks refused it,\n' +
      '75 another trainer works or publishes, 130 called off or interrupted, others as in docs/errors.md.\n' +
      '\nExample:\n  nestrec retrain --wait\n  nestrec retrain --mode incremental --epochs 3',
  );
  defineAction<RetrainOptions>(command, invocation, (context, _args, options) =>
    directOrRemote(
      context.config,
      (platform) => workDirectly(context, platform, options),
      (ask) => askServer(context.output, ask, options),
    ),
  );
}

function requestOf(options: RetrainOptions): TrainingRunRequest {
  const { preset, sizes, blocks, exits, epochs, seed, protocol } = options;
  const asked = {
    ...{ preset, sizes, blocks, exits, epochs, seed, protocol, text_width: options.textWidth },
    ...{ start_from: options.startFrom, window_days: options.windowDays },
    max_events_per_user: options.maxEventsPerUser,
  };
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  return {
    mode: options.mode,
    publish: options.publish,
    options: Object.fromEntries(given) as TrainingOptions,
  };
}

async function workDirectly(
  { output, config }: CommandContext,
  platform: Platform,
  options: RetrainOptions,
): Promise<void> {
  const session = await openSession(platform);
  const interruption = listenForInterruption();
  let stage = '';
  const worker = createTrainingWorker({
    ...{ session, logger: platform.logger, clock: systemClock, settings: jobSettings(config) },
    startJob: startJobProcess(platform.db.kind === 'pglite' ? platform.db : null),
    metrics: createTrainerMetrics(createMetrics()),
    onProgress: (progress) => {
      if (progress.note !== undefined) output.note(progress.note);
      if (progress.stage !== stage) output.note(`${progress.stage} ...`);
      stage = progress.stage;
    },
  });
  interruption.signal.addEventListener('abort', () => worker.stop(), { once: true });
  try {
    const wait = options.wait ?? false;
    const worked = await workInTurn(worker, requestOf(options), output, wait, interruption.signal);
    conclude(output, worked.run, worked.result);
  } finally {
    interruption.dispose();
    if (session !== platform.db) await session.close();
  }
}

/** One connection for the lock and the lease alone; the embedded database has no more than one. */
async function openSession({ db, config, logger }: Platform): Promise<Database> {
  if (config.databaseUrl === null) return db;
  const { databaseUrl: url, allowUnsafeDurability } = config;
  return openPostgres({
    ...{ url, logger, allowUnsafeDurability, max: 1, applicationName: 'nestrec-retrain' },
  });
}

type Done = Extract<Worked, { outcome: 'worked' }>;

async function workInTurn(
  worker: TrainingWorker,
  request: TrainingRunRequest,
  output: Output,
  wait: boolean,
  signal: AbortSignal,
): Promise<Done> {
  for (let told = false; ; told = true) {
    if (signal.aborted) throw new Interrupted({ detail: 'It had not begun.' });
    const worked = await worker.work({ ...request, requestedBy: 'cli' });
    if (worked.outcome === 'worked') return worked;
    const busy = busyWith(worked.outcome === 'busy' ? worked.run : null);
    if (!wait) throw busy;
    if (!told) output.note(`${busy.message} Waiting for it.`);
    await sleep(POLL_MS);
  }
}

function busyWith(run: TrainingRun | null): NestrecError {
  if (run?.holder == null) {
    return new TrainerBusy({ detail: 'It publishes just now; run this again, or add --wait.' });
  }
  const { pid, host, startedAtMs } = run.holder;
  return new TrainerBusy({
    detail:
      `Process ${pid} on ${host} works at run ${run.id} since ${new Date(startedAtMs).toISOString()}; ` +
      'run this again later, or add --wait.',
  });
}

/** Says how the run ended, and ends the command by it. */
function conclude(output: Output, run: TrainingRun, result: JobResult): void {
  const presented = presentTrainingRun(run);
  // What was published before it failed answers.
  if (result.kind === 'failed' && run.status !== 'succeeded')
    throw failure(result.code, result.reason);
  concludePresented(output, presented);
}

function concludePresented(output: Output, run: TrainingRunAnswer): void {
  if (run.status === 'failed') throw new TrainingFailed({ detail: run.reason ?? '' });
  if (run.status === 'abandoned' || run.status === 'cancelled') {
    throw new Interrupted({
      detail: `Run ${run.id}: ${run.reason ?? run.status}. The same command goes on from its checkpoint.`,
    });
  }
  output.result(run, describeRun(run));
  if (run.status === 'refused') process.exitCode = REFUSED_EXIT_CODE;
}

/** The error of the training process, as if it had been raised here. */
function failure(code: string, reason: string): NestrecError {
  const known = errorCatalogue.find((entry) => entry.code === code);
  if (known === undefined) return new TrainingFailed({ detail: reason });
  return new NestrecError(code, { ...known.traits, publicMessage: reason });
}

async function askServer(
  output: Output,
  ask: AdminRequest,
  options: RetrainOptions,
): Promise<void> {
  const run = await ask('POST', RUNS, trainingRunAnswerSchema, requestOf(options));
  if (!(options.wait ?? false)) {
    output.result(
      run,
      `Run ${run.id} waits for the running server; see nestrec runs show ${run.id}.`,
    );
    return;
  }
  output.note(`The running server works at it: run ${run.id}.`);
  concludePresented(output, await followRun(output, ask, run));
}
