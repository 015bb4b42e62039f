/** `nestrec model verify|slice|list|prune`: model artifacts as files; `model show`: how a version came about and fared. */
import { dirname, resolve } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { modelsAnswerSchema, type ModelConfig, type PublishReport } from '@nestrec/contracts';
import { saveEdgeModel } from '@nestrec/onnx';
import { pruneVersions } from '@nestrec/publishing';
import { listArtifacts, loadArtifact, sliceArtifact, verifyArtifact } from '@nestrec/registry';
import { excerpt, ModelNotFound } from '@nestrec/errors';
import {
  erasuresAfter,
  getVersion,
  newestPublishReport,
  weightsErasures,
  type LaterErasures,
} from '@nestrec/storage';
import { defineAction, type Invocation } from '../command-context.js';
import { parseKeep } from '../keep-option.js';
import { renderReport } from '../gate-table.js';
import { renderTable, type Output } from '../output.js';
import { dataFolders, withPlatform, type Platform } from '../platform.js';
import { directOrRemote, type AdminRequest } from '../running-server.js';
import { count } from '../training-options.js';

export function addModel(program: Command, invocation: Invocation): void {
  const group = program
    .command('model')
    .description('model artifacts: list, show, verify, slice, prune');
  addList(group, invocation);
  addVerify(group, invocation);
  addShow(group, invocation);
  addSlice(group, invocation);
  addPrune(group, invocation);
}

function addList(group: Command, invocation: Invocation): void {
  const command = group
    .command('list')
    .description('the artifacts in the data folder')
    .addHelpText('after', '\nExample:\n  nestrec model list');
  defineAction(command, invocation, async ({ config, output }) => {
    const artifacts = await listArtifacts(dataFolders(config).models);
    // Names as GET /v1/models has them, which lists what the database knows.
    const models = artifacts.map(({ folder, manifest, problem }) => ({
      ...{ version: folder, created_at: manifest?.createdAt ?? null },
      ...{ sizes: manifest?.config.sizes ?? null, items: manifest?.data.items ?? null, problem },
    }));
    const rows = models.map(({ version, created_at, sizes, items, problem }) => [
      ...[version, created_at ?? '-', sizes?.join(' ') ?? '-', String(items ?? '-')],
      problem ?? 'fine',
    ]);
    output.result({ models }, renderTable(['version', 'created', 'sizes', 'items', 'state'], rows));
  });
}

function addVerify(group: Command, invocation: Invocation): void {
  const command = group
    .command('verify')
    .description('the verdict that loading would give: checksums, shapes, numbers, item ids')
    .argument('<path>', 'folder of the artifact')
    .addHelpText('after', '\nExample:\n  nestrec model verify .nestrec/models/v20261123');
  defineAction(command, invocation, async ({ output }, [path]) => {
    const report = await verifyArtifact(resolve(path!));
    output.result(
      report,
      report.accepted
        ? `${path}: fine (${report.passed.join(', ')})`
        : `${path}: refused [${report.code}]: ${report.reason}`,
    );
    if (!report.accepted) process.exitCode = 65;
  });
}

function addShow(group: Command, invocation: Invocation): void {
  const command = group
    .command('show')
    .description(
      'how a version was trained, which erasures are newer than its data, and why it was published or refused',
    )
    .argument('<version>', 'a version that was trained or published here')
    .addHelpText('after', '\nExample:\n  nestrec model show v20261123_142305');
  defineAction(command, invocation, ({ config, output }, [version]) =>
    directOrRemote(
      config,
      (platform) => showStored(platform, output, version!),
      (ask) => showServed(ask, output, version!),
    ),
  );
}

const unknownVersion = (version: string) =>
  new ModelNotFound({
    detail: `version ${excerpt(version)} is not known to the database; \`nestrec model list\` shows the folders`,
  });

async function showStored({ db }: Platform, output: Output, version: string): Promise<void> {
  const known = await getVersion(db, version);
  if (known === null) throw unknownVersion(version);
  const { data, origin, config: model } = known.manifest;
  const proof = weightsErasures(known.manifest);
  const later = proof ? await erasuresAfter(db, proof) : null;
  const { status, vectorsVersion } = known;
  const publish = await newestPublishReport(db, version);
  output.result(
    { version, status, vectorsVersion, origin, data, erasedLater: later, publish },
    [
      `${version}: ${status}, sizes ${model.sizes.join(' ')}, ${renderDepth(model)}, item vectors of ${vectorsVersion}`,
      `trained: ${origin?.mode ?? 'full'}${origin?.startedFrom ? `, going on with ${origin.startedFrom}` : ''}`,
      `events: ${data.interactions} of ${data.users} users, ${data.from ?? '?'} to ${data.to ?? '?'}`,
      renderErasures(data.erasures?.users, later),
      renderAttempt(publish),
    ].join('\n'),
  );
}

/** What a running server says of a version; how it was trained stands in the database that it holds. */
async function showServed(ask: AdminRequest, output: Output, version: string): Promise<void> {
  const { models } = await ask('GET', '/v1/models', modelsAnswerSchema);
  const known = models.find((model) => model.version === version);
  if (known === undefined) throw unknownVersion(version);
  const { status, sizes, publish } = known;
  output.result(
    known,
    `${version}: ${status}, sizes ${sizes.join(' ')}\n${renderAttempt(publish)}`,
  );
}

const renderDepth = ({ blocks, exits = [] }: ModelConfig) =>
  [
    `${blocks} block(s)`,
    ...exits.map((exit) => `an exit after ${exit.blocks} up to ${exit.dim}`),
  ].join(', ');

const renderAttempt = (publish: PublishReport | null) =>
  publish === null
    ? 'Nobody has tried to publish it yet.'
    : `${publish.outcome} ${publish.at}\n${renderReport(publish)}`;

function renderErasures(users: number | undefined, later: LaterErasures | null): string {
  if (users === undefined || later === null) {
    return 'erasures: not written down by the nestrec that trained it; train anew to be sure';
  }
  const without = `erasures: ${users} erased users are not in its data`;
  if (later.withEvents === 0) return `${without}, and none that it learned from came later`;
  const first = new Date(later.firstAtMs!).toISOString();
  return (
    `${without}; since ${first} ${later.users} users and ${later.events} single events were erased, ` +
    `${later.withEvents} of them with events that may be in its weights: train anew (in full) to take them out`
  );
}

interface SliceOptions {
  readonly dim: number;
  readonly blocks?: number;
  readonly format: 'artifact' | 'onnx';
  readonly out?: string;
  readonly json?: boolean;
}

function addSlice(group: Command, invocation: Invocation): void {
  const command = group
    .command('slice')
    .description(
      'write the complete smaller model that the first coordinates are, as an artifact or for onnxruntime',
    )
    .argument('<path>', 'folder of the artifact')
    .requiredOption('--dim <size>', "one of the model's sizes", parseDim)
    .option('--blocks <number>', 'blocks of one of its early exits; default: all', count(1, 16))
    .addOption(
      new Option(
        '--format <format>',
        'an artifact of nestrec, or files for phones and edge workers (docs/edge.md)',
      )
        .choices(['artifact', 'onnx'])
        .default('artifact'),
    )
    .option(
      '--out <folder>',
      'folder that gets the new one; default for artifacts: beside the old one',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  nestrec model slice .nestrec/models/v1 --dim 32 --out slices' +
        '\n  nestrec model slice .nestrec/models/v1 --dim 64 --format onnx --out edge' +
        '\n  nestrec model slice .nestrec/models/v1 --dim 32 --blocks 1',
    );
  defineAction<SliceOptions>(command, invocation, async ({ output }, [path], options) => {
    const source = resolve(path!);
    if (options.format === 'onnx') return sliceToOnnx(command, output, source, options);
    const target = options.out === undefined ? dirname(source) : resolve(options.out);
    const sliced = await sliceArtifact(
      ...([await loadArtifact(source), options.dim, target, options.blocks] as const),
    );
    const { sizes, blocks } = sliced.manifest.config;
    output.result(sliced, `Wrote ${sliced.path}: sizes ${sizes.join(', ')}, ${blocks} block(s)`);
  });
}

async function sliceToOnnx(
  command: Command,
  output: Output,
  source: string,
  { dim, blocks, out }: SliceOptions,
): Promise<void> {
  if (out === undefined) {
    // Beside the old one it would stand among the artifacts, and be none.
    command.error('error: --format onnx needs --out, the folder that gets the new one');
  }
  const { path, manifest } = await saveEdgeModel(
    ...([await loadArtifact(source), dim, resolve(out), blocks] as const),
  );
  const rows = manifest.files.map(({ name, bytes, about }) => [name, String(bytes), about]);
  output.result({ path, manifest }, `Wrote ${path}\n${renderTable(['file', 'bytes', ''], rows)}`);
}

function addPrune(group: Command, invocation: Invocation): void {
  const command = group
    .command('prune')
    .description('remove artifacts and vectors of versions that were served once and are not kept')
    .option(
      '--keep <count>',
      'versions besides the published one that stay; default: NESTREC_KEEP_VERSIONS',
      parseKeep,
    )
    .option('--dry-run', 'say what would go, and leave it')
    .addHelpText('after', '\nExample:\n  nestrec model prune --keep 2 --dry-run');
  defineAction<{ keep?: number; dryRun?: boolean; json?: boolean }>(
    command,
    invocation,
    async ({ config, output }, _args, options) => {
      const { keep = config.keepVersions, dryRun = false } = options;
      const result = await withPlatform(config, ({ db, logger, folders }) =>
        pruneVersions({ db, logger, modelsDir: folders.models, keepPrevious: keep, dryRun }),
      );
      const names = result.artifacts.length === 0 ? 'nothing' : result.artifacts.join(', ');
      const did = dryRun ? 'Would remove' : 'Removed';
      output.result(result, `${did} ${names}; kept are ${result.kept.join(', ') || 'all'}.`);
    },
  );
}

function parseDim(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("wanted one of the model's sizes, such as 64.");
}
