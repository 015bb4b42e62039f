/** `nestrec evaluate`: a saved model beside the baselines, on what the database holds now. */
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { NoPublishedModel } from '@nestrec/errors';
import { loadArtifact } from '@nestrec/registry';
import { getPublished } from '@nestrec/storage';
import { runEvaluation } from '@nestrec/trainer';
import { chooseBackend } from '../backend.js';
import { defineAction, type Invocation } from '../command-context.js';
import { withPlatform, type Platform } from '../platform.js';
import { renderFullQuality } from '../quality-table.js';

interface EvaluateOptions {
  modelVersion?: string;
  protocol: 'leave-one-out' | 'temporal';
  json?: boolean;
}

export function addEvaluate(program: Command, invocation: Invocation): void {
  const command = program
    .command('evaluate')
    .description(
      'measure a model at every size beside popularity, Markov, co-occurrence, text cosine',
    )
    .option('--model-version <name>', 'version to measure; default: the published one')
    .addOption(
      new Option('--protocol <name>', 'what is held out')
        .choices(['leave-one-out', 'temporal'])
        .default('leave-one-out'),
    )
    .addHelpText('after', '\nExample:\n  nestrec evaluate --protocol temporal --json');
  defineAction<EvaluateOptions>(command, invocation, async (context, _args, options) => {
    const { config, output } = context;
    await chooseBackend(context);
    await withPlatform(config, async (platform) => {
      const version = options.modelVersion ?? (await publishedVersion(platform));
      output.note(`Measuring ${version} ...`);
      const artifact = await loadArtifact(join(platform.folders.models, version));
      const { quality, unknownItemEvents } = await runEvaluation(
        platform.db,
        artifact,
        options.protocol,
        { folder: platform.folders.checkpoints, eventsInMemory: config.eventsInMemory },
      );
      const left =
        unknownItemEvents === 0
          ? ''
          : `\n${unknownItemEvents} events of items that ${version} does not know were left out.`;
      output.result({ version, quality, unknownItemEvents }, renderFullQuality(quality) + left);
    });
  });
}

async function publishedVersion({ db }: Platform): Promise<string> {
  const published = await getPublished(db);
  if (published !== null) return published.version;
  throw new NoPublishedModel({
    detail: 'Name a version with --model-version; nestrec model list shows what there is.',
  });
}
