/** `nestrec model verify|slice|list|show`: model artifacts as files, and what publishing found of them. */
import { dirname, resolve } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { modelsAnswerSchema, type ModelAnswer } from '@nestrec/contracts';
import { ModelNotFound } from '@nestrec/errors';
import { listArtifacts, loadArtifact, sliceArtifact, verifyArtifact } from '@nestrec/registry';
import { getVersion, newestPublishReport } from '@nestrec/storage';
import { defineAction, type Invocation } from '../command-context.js';
import { renderReport } from '../gate-table.js';
import { renderTable } from '../output.js';
import { dataFolders, type Platform } from '../platform.js';
import { directOrRemote, type AdminRequest } from '../running-server.js';

export function addModel(program: Command, invocation: Invocation): void {
  const group = program.command('model').description('model artifacts: list, show, verify, slice');
  addList(group, invocation);
  addShow(group, invocation);
  addVerify(group, invocation);
  addSlice(group, invocation);
}

function addList(group: Command, invocation: Invocation): void {
  const command = group
    .command('list')
    .description('the artifacts in the data folder')
    .addHelpText('after', '\nExample:\n  nestrec model list');
  defineAction(command, invocation, async ({ config, output }) => {
    const artifacts = await listArtifacts(dataFolders(config).models);
    const rows = artifacts.map(({ folder, manifest, problem }) => [
      folder,
      manifest === null ? '-' : manifest.config.sizes.join(' '),
      manifest === null ? '-' : String(manifest.config.numItems),
      manifest?.createdAt ?? '-',
      problem ?? 'fine',
    ]);
    output.result(
      { artifacts },
      renderTable(['version', 'sizes', 'items', 'created', 'state'], rows),
    );
  });
}

function addShow(group: Command, invocation: Invocation): void {
  const command = group
    .command('show')
    .description('what a registered version is, and why it was published or refused')
    .argument('<version>', 'as `nestrec model list` shows it')
    .addHelpText('after', '\nExample:\n  nestrec model show v20261123_142305');
  defineAction(command, invocation, async ({ config, output }, [version]) => {
    const shown = await directOrRemote(
      config,
      (platform) => showStored(platform, version!),
      (ask) => showServed(ask, version!),
    );
    const { status, sizes, items, created_at, publish } = shown;
    output.result(
      shown,
      [
        `${version}: ${status}, sizes ${sizes.join(' ')}, ${items} items, made ${created_at}`,
        publish === null
          ? 'Nobody has tried to publish it yet.'
          : `${publish.outcome} ${publish.at}\n${renderReport(publish)}`,
      ].join('\n'),
    );
  });
}

const unknownVersion = (version: string) =>
  new ModelNotFound({
    detail: `version ${version} is not registered here; nestrec model list shows the artifacts`,
  });

async function showStored({ db }: Platform, version: string): Promise<ModelAnswer> {
  const known = await getVersion(db, version);
  if (known === null) throw unknownVersion(version);
  return {
    version,
    status: known.status,
    created_at: known.manifest.createdAt,
    sizes: known.manifest.config.sizes,
    items: known.manifest.data.items,
    publish: await newestPublishReport(db, version),
  };
}

async function showServed(ask: AdminRequest, version: string): Promise<ModelAnswer> {
  const { models } = await ask('GET', '/v1/models', modelsAnswerSchema);
  const known = models.find((model) => model.version === version);
  if (known === undefined) throw unknownVersion(version);
  return known;
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

function addSlice(group: Command, invocation: Invocation): void {
  const command = group
    .command('slice')
    .description('write the complete smaller model that the first coordinates are')
    .argument('<path>', 'folder of the artifact')
    .requiredOption('--dim <size>', "one of the model's sizes", parseDim)
    .option('--out <folder>', 'folder that gets the new artifact; default: beside the old one')
    .addHelpText(
      'after',
      '\nExample:\n  nestrec model slice .nestrec/models/v1 --dim 32 --out slices',
    );
  defineAction<{ dim: number; out?: string; json?: boolean }>(
    command,
    invocation,
    async ({ output }, [path], { dim, out }) => {
      const source = resolve(path!);
      const target = out === undefined ? dirname(source) : resolve(out);
      const sliced = await sliceArtifact(await loadArtifact(source), dim, target);
      const sizes = sliced.manifest.config.sizes.join(', ');
      output.result(sliced, `Wrote ${sliced.path}: sizes ${sizes}`);
    },
  );
}

function parseDim(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("wanted one of the model's sizes, such as 64.");
}
