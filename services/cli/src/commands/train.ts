/** `nestrec train`: from the stored interactions to a candidate model version. */
import { InvalidArgumentError, type Command } from 'commander';
import { Interrupted, isError } from '@nestrec/errors';
import { createSettings, modelSwitches, PRESET_NAMES, type PresetName } from '@nestrec/training';
import { gitCommit, runTraining } from '@nestrec/trainer';
import { chooseBackend } from '../backend.js';
import { defineAction, type CommandContext, type Invocation } from '../command-context.js';
import { listenForInterruption } from '../interruption.js';
import { withPlatform, type Platform } from '../platform.js';
import { publishAndReport } from './publish.js';
import { renderQuality } from '../quality-table.js';
import { choice, count, parseSizes, PROTOCOLS } from '../training-options.js';
import { showTraining } from '../training-progress.js';
import { findKilledRun, forgetRun, recordRun } from '../unfinished-run.js';

const DEFAULT_SIZES = [8, 16, 32, 64, 128];

interface TrainOptions {
  preset: PresetName;
  sizes: number[];
  blocks: number;
  epochs?: number;
  seed: number;
  protocol: (typeof PROTOCOLS)[number];
  textWidth: number;
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
      'nested sizes, the last is the whole model',
      parseSizes,
      DEFAULT_SIZES,
    )
    .option(
      '--blocks <number>',
      'LRU blocks; 1 allows edits of a state in closed form',
      count(1, 16),
      1,
    )
    .option('--epochs <number>', 'epochs at most; default: the preset says', count(1, 10_000))
    .option('--seed <number>', 'seed of everything random', count(0, 2 ** 31 - 1), 1)
    .option(
      '--protocol <name>',
      `what is held out: ${PROTOCOLS.join(', ')}`,
      choice(PROTOCOLS),
      'leave-one-out',
    )
    .option('--text-width <number>', 'width of the built-in text vectors', count(1, 1_024), 256)
    .option('--model-version <name>', 'name of the version; default: from the time', parseVersion)
    .option('--publish', 'publish the candidate when its checks pass')
    .addHelpText(
      'after',
      '\nExamples:\n  nestrec train --publish\n  nestrec train --sizes 16,32,64,128,256 --protocol temporal --seed 3',
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
  const { output } = context;
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
    const manifest = await runTraining({
      db: platform.db,
      modelsDir: platform.folders.models,
      checkpointsDir: platform.folders.checkpoints,
      eventsInMemory: context.config.eventsInMemory,
      version,
      continues: killed !== null,
      config: { ...modelSwitches(options.preset), sizes: options.sizes, blocks: options.blocks },
      settings: createSettings(options.preset, options.sizes, {
        ...(options.epochs === undefined ? {} : { maxEpochs: options.epochs }),
      }),
      protocol: options.protocol,
      textWidth: options.textWidth,
      seed: options.seed,
      commit: gitCommit(),
      onStage: show.onStage,
      onProgress: show.onProgress,
      signal: interruption.signal,
      workers: context.config.trainWorkers,
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
