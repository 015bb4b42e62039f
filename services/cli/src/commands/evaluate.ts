/** `nestrec evaluate`: a saved model beside the baselines, on what the database holds now. */
import { join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { NoPublishedModel, UsageError } from '@nestrec/errors';
import { loadArtifact, type Artifact } from '@nestrec/registry';
import { getPublished } from '@nestrec/storage';
import { runEvaluation, runEvaluationReport } from '@nestrec/trainer';
import { chooseBackend } from '../backend.js';
import { defineAction, type CommandContext, type Invocation } from '../command-context.js';
import { cautions } from '../evaluation-report/render-report.js';
import { keepReport, writeReport } from '../evaluation-report/report-files.js';
import { withPlatform, type Platform } from '../platform.js';
import { renderFullQuality, renderSizes } from '../quality-table.js';
import { parseSizes } from '../training-options.js';

interface EvaluateOptions {
  modelVersion?: string;
  protocol?: 'leave-one-out' | 'temporal';
  report?: string;
  seeds?: string[];
  sasrec?: number[];
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
      new Option(
        '--protocol <name>',
        'what is held out; default: leave-one-out, with --report what its training held out',
      ).choices(['leave-one-out', 'temporal']),
    )
    .option(
      '--report <dir>',
      'write report.html and report.json there: intervals, breakdowns, cold users, costs by size',
    )
    .option(
      '--seeds <versions>',
      'with --report: trainings on the same events that differ in the seed, comma separated',
      (text: string) => text.split(',').map((name) => name.trim()),
    )
    .option(
      '--sasrec <widths>',
      'with --report: also train SASRec (self-attention over item ids) of these widths as baselines; ' +
        'slow: each is a training of its own, of minutes to hours',
      parseSizes,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  nestrec evaluate --protocol temporal --json\n' +
        '  nestrec evaluate --report quality --model-version v1 --seeds v2,v3\n' +
        '  nestrec evaluate --report quality --sasrec 16,64',
    );
  defineAction<EvaluateOptions>(command, invocation, async (context, _args, options) => {
    for (const name of ['seeds', 'sasrec'] as const) {
      if (options[name] === undefined || options.report !== undefined) continue;
      throw new UsageError({ detail: `--${name} belongs to a report: add --report DIR.` });
    }
    await chooseBackend(context);
    await withPlatform(context.config, async (platform) => {
      const version = options.modelVersion ?? (await publishedVersion(platform));
      context.output.note(`Measuring ${version} ...`);
      const artifact = await loadArtifact(join(platform.folders.models, version));
      await (options.report === undefined
        ? printQuality(context, platform, artifact, options)
        : reportQuality(context, platform, artifact, { ...options, report: options.report }));
    });
  });
}

async function printQuality(
  { config, output }: CommandContext,
  { db, folders }: Platform,
  artifact: Artifact,
  { protocol = 'leave-one-out' }: EvaluateOptions,
): Promise<void> {
  const { version } = artifact.manifest;
  const { quality, unknownItemEvents } = await runEvaluation(db, artifact, protocol, {
    folder: folders.checkpoints,
    eventsInMemory: config.eventsInMemory,
  });
  const left =
    unknownItemEvents === 0
      ? ''
      : `\n${unknownItemEvents} events of items that ${version} does not know were left out.`;
  output.result({ version, quality, unknownItemEvents }, renderFullQuality(quality) + left);
}

async function reportQuality(
  { config, output }: CommandContext,
  { db, folders }: Platform,
  artifact: Artifact,
  options: EvaluateOptions & { report: string },
): Promise<void> {
  const report = await runEvaluationReport(db, artifact, {
    protocol: options.protocol,
    seedPaths: (options.seeds ?? []).map((name) => join(folders.models, name)),
    sasrecWidths: options.sasrec ?? [],
    spill: { folder: folders.checkpoints, eventsInMemory: config.eventsInMemory },
    onStage: (stage) => output.note(`${stage} ...`),
  });
  const paths = await writeReport(resolve(options.report), report);
  await keepReport(folders.reports, report);
  output.result(
    { version: report.model.version, protocol: report.data.protocol, ...paths },
    [renderSizes(report), ...cautions(report), paths.html, paths.json].join('\n'),
  );
}

async function publishedVersion({ db }: Platform): Promise<string> {
  const published = await getPublished(db);
  if (published !== null) return published.version;
  throw new NoPublishedModel({
    detail: 'Name a version with --model-version; nestrec model list shows what there is.',
  });
}
