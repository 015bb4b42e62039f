/** `nestrec train`: from the stored interactions to a candidate model version. */
import { InvalidArgumentError, type Command } from 'commander';
import type { ModelExit } from '@nestrec/contracts';
import { Interrupted, isError } from '@nestrec/errors';
import { PRESET_NAMES, type PresetName } from '@nestrec/training';
import {
  DEFAULT_MAX_EVENTS_PER_USER,
  DEFAULT_SIZES,
  gitCommit,
  lowerPriority,
  planTraining,
  runTraining,
  workersBesideServing,
} from '@nestrec/trainer';
import { chooseBackend } from '../backend.js';
import { defineAction, type CommandContext, type Invocation } from '../command-context.js';
import { listenForInterruption } from '../interruption.js';
import { withPlatform, type Platform } from '../platform.js';
import { publishAndReport } from './publish.js';
import { renderQuality } from '../quality-table.js';
import {
  choice,
  count,
  EXITS_HELP,
  parseExits,
  parseSizes,
  PROTOCOLS,
} from '../training-options.js';
import { showTraining } from '../training-progress.js';
import { findKilledRun, forgetRun, recordRun } from '../unfinished-run.js';

interface TrainOptions {
  preset: PresetName;
  sizes?: number[];
  blocks?: number;
  exits?: ModelExit[];
  epochs?: number;
  seed: number;
  protocol: (typeof PROTOCOLS)[number];
  textWidth: number;
  warmStart?: string | true;
  queryOnly?: boolean;
  since?: number;
  window?: number;
  maxEventsPerUser?: number;
  modelVersion?: string;
  publish?: boolean;
  json?: boolean;
}

export function addTrain(program: Command, invocation: Invocation): void {
  const command = program
    .command('train')
    .description(
      'train a candidate on the stored interactions; the same command again continues a killed run',
    )
    .option(
      '--preset <name>',
      `settings: ${PRESET_NAMES.join(', ')}`,
      choice(PRESET_NAMES),
      'quality',
    )
    .option(
      '--sizes <list>',
      `nested sizes, the last is the whole model (default: ${DEFAULT_SIZES.join(',')}, or those of the version to go on with)`,
      parseSizes,
    )
    .option(
      '--blocks <number>',
      'LRU blocks; 1 allows edits of a state in closed form (default: 1, or as the version to go on with)',
      count(1, 16),
    )
    .option('--exits <list>', EXITS_HELP, parseExits)
    .option('--epochs <number>', 'epochs at most; default: the preset says', count(1, 10_000))
    .option('--seed <number>', 'seed of everything random', count(0, 2 ** 31 - 1), 1)
    .option(
      '--protocol <name>',
      `what is held out: ${PROTOCOLS.join(', ')}`,
      choice(PROTOCOLS),
      'leave-one-out',
    )
    .option('--text-width <number>', 'width of the built-in text vectors', count(1, 1_024), 256)
    .option(
      '--warm-start [version]',
      'go on with the parameters of a version; default: the published one',
      parseVersion,
    )
    .option(
      '--query-only',
      'go on as --warm-start does, but leave item vectors and indexes as they are',
    )
    .option('--since <time>', 'only events then or later, such as 2026-01-31', parseTime)
    .option('--window <duration>', 'only events so long before the newest, such as 90d', parseDays)
    .option(
      '--max-events-per-user <number>',
      'of each user only the newest so many; 0 = all',
      count(0, 2 ** 31 - 1),
      DEFAULT_MAX_EVENTS_PER_USER,
    )
    .option('--model-version <name>', 'name of the version; default: from the time', parseVersion)
    .option('--publish', 'publish the candidate when its checks pass')
    .addHelpText(
      'after',
      '\nExamples:\n  nestrec train --publish\n  nestrec train --sizes 16,32,64,128,256 --protocol temporal --seed 3\n  nestrec train --blocks 2 --exits 1:64\n  nestrec train --warm-start --window 180d --publish\n  nestrec train --query-only --publish',
    );
  defineAction<TrainOptions>(command, invocation, (context, _args, options) =>
    withPlatform(context.config, (platform) => train(context, platform, options)),
  );
}

async function train(
  context: CommandContext,
  platform: Platform,
  options: TrainOptions,
): Promise<void> {
  const { output, config } = context;
  // Before the backend makes its threads, which take it over.
  lowerPriority(config.trainNice);
  await chooseBackend(context);
  const show = showTraining(output);
  const interruption = listenForInterruption();
  const { checkpoints } = platform.folders;
  const { modelVersion } = options;
  // How the result is said or used has no part in it; undefined fields are left out.
  const asked = { ...options, json: undefined, publish: undefined, modelVersion: undefined };
  const request = JSON.stringify(asked);
  const killed = await findKilledRun(checkpoints, request, modelVersion);
  const version = modelVersion ?? killed ?? versionNow();
  output.note(
    killed === null
      ? `Version ${version}; should it be killed, the same command continues it.`
      : `Version ${version} was not finished: going on from its last checkpoint (--model-version NAME starts another).`,
  );
  await recordRun(checkpoints, version, request);
  let unfinished = false;
  try {
    const plan = await planTraining(platform.db, {
      mode: options.queryOnly ? 'query_only' : options.warmStart ? 'incremental' : 'full',
      startFrom: typeof options.warmStart === 'string' ? options.warmStart : undefined,
      preset: options.preset,
      sizes: options.sizes,
      blocks: options.blocks,
      exits: options.exits,
      overrides: options.epochs === undefined ? {} : { maxEpochs: options.epochs },
    });
    if (plan.startFrom !== null) output.note(`Going on with the parameters of ${plan.startFrom}.`);
    const manifest = await runTraining({
      db: platform.db,
      modelsDir: platform.folders.models,
      checkpointsDir: platform.folders.checkpoints,
      eventsInMemory: config.eventsInMemory,
      version,
      continues: killed !== null,
      ...plan,
      window: {
        sinceMs: options.since,
        durationMs: options.window,
        maxEventsPerUser: options.maxEventsPerUser,
      },
      protocol: options.protocol,
      textWidth: options.textWidth,
      seed: options.seed,
      commit: gitCommit(),
      onStage: show.onStage,
      onProgress: show.onProgress,
      signal: interruption.signal,
      workers: config.trainWorkers ?? (await workersBesideServing(platform.db)),
    });
    const table = renderQuality(manifest.quality, {
      part: 'test',
      seenMasked: true,
      metrics: ['ndcg@10', 'recall@10', 'mrr@10'],
    });
    const published =
      options.publish === true ? await publishAndReport(output, platform, version) : null;
    const next = published === null ? `\nNext: nestrec publish ${version}` : '';
    output.result({ version, manifest, published }, `${table}\nTrained ${version}.${next}`);
  } catch (error) {
    unfinished = isError(error, Interrupted);
    throw error;
  } finally {
    if (!unfinished) await forgetRun(checkpoints, version);
    interruption.dispose();
  }
}

/** `v20261123_142305`: sorts by time. */
export function versionNow(): string {
  const digits = new Date().toISOString().replace(/\D/g, '');
  return `v${digits.slice(0, 8)}_${digits.slice(8, 14)}`;
}

function parseVersion(text: string): string {
  if (/^[a-z0-9][a-z0-9_]{0,47}$/.test(text)) return text;
  throw new InvalidArgumentError('wanted up to 48 of a-z, 0-9 and _, not beginning with _.');
}

function parseTime(text: string): number {
  const ms = Date.parse(text);
  if (/^\d{4}-\d\d-\d\d(T.*(Z|[+-]\d\d:\d\d))?$/.test(text) && !Number.isNaN(ms)) return ms;
  throw new InvalidArgumentError('wanted a time such as 2026-01-31 or 2026-01-31T00:00:00Z.');
}

const HOUR_MS = 3_600_000;

function parseDays(text: string): number {
  const match = /^([1-9]\d{0,5})([hd])$/.exec(text);
  if (match === null) throw new InvalidArgumentError('wanted hours or days, such as 12h or 90d.');
  return Number(match[1]) * (match[2] === 'd' ? 24 : 1) * HOUR_MS;
}
