/** From a path to a staged, locked-down table: format, file checks, reading, the `--where` condition. */
import { stat } from 'node:fs/promises';
import { excerpt, UsageError } from '@nestrec/errors';
import { createSourceView, type StagedTable } from './columns.js';
import { createRejectsTable } from './rejects.js';
import { openSourceFile, type SourceFile } from './source-file.js';
import { stageDelimited } from './stage-delimited.js';
import { stageJsonLines } from './stage-json-lines.js';
import { stageParquet } from './stage-parquet.js';
import { stageSequences } from './stage-sequences.js';
import { openStaging, type Staging } from './staging.js';
import type { ImportOptions, InteractionSource, TableFormat } from './types.js';
import { applyWhere, checkWhere, columnsNamedIn } from './where.js';

const FORMAT_BY_EXTENSION: Readonly<Record<string, TableFormat>> = {
  csv: 'csv',
  tsv: 'tsv',
  tab: 'tsv',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  parquet: 'parquet',
  inter: 'recbole',
  item: 'recbole',
};

export type Source =
  | InteractionSource
  | { readonly kind: 'table'; readonly path: string; readonly format?: TableFormat };

/** Opens staging and reads the source into it. The caller closes the staging, also after an error here. */
export async function stageSource<T>(
  source: Source,
  options: ImportOptions,
  fields: readonly string[],
  work: (staging: Staging, table: StagedTable) => Promise<T>,
): Promise<T> {
  const format = source.kind === 'table' ? formatOf(source) : null;
  requireShare(options.maxBad);
  const file = await openSourceFile(source.path);
  let timesFile: SourceFile | null = null;
  let staging: Staging | null = null;
  try {
    if (source.kind === 'sequences' && source.timestampsPath !== undefined)
      timesFile = await openSourceFile(source.timestampsPath);
    for (const input of [file, timesFile]) await refuseOverwriting(input, options.rejectsPath);
    staging = await openStaging(options);
    if (options.where !== undefined) await checkWhere(staging, options.where);
    await createRejectsTable(staging);
    const staged =
      format === null
        ? await stageSequences(staging, file, timesFile, options)
        : await stageTable(staging, file, format, options, fields);
    await file.assertUnchanged();
    await timesFile?.assertUnchanged();
    await staging.lockDown();
    if (options.where !== undefined) {
      await createSourceView(staging, staged.columns);
      await applyWhere(staging, options.where, staged.columns);
    }
    const notes = [...file.notes, ...(timesFile?.notes ?? []), ...staged.notes];
    return await work(staging, { ...staged, notes });
  } catch (error) {
    await staging?.close();
    throw error;
  } finally {
    await file.close();
    await timesFile?.close();
  }
}

function requireShare(maxBad: number | undefined): void {
  if (maxBad === undefined || (maxBad >= 0 && maxBad <= 1)) return;
  throw new UsageError({
    detail: `The limit of bad rows is ${maxBad}; wanted a share from 0 to 1 (0.001 is 0.1 %).`,
  });
}

async function refuseOverwriting(
  input: SourceFile | null,
  rejectsPath: string | undefined,
): Promise<void> {
  if (input === null || rejectsPath === undefined) return;
  const [there, source] = [await stat(rejectsPath).catch(() => null), await input.handle.stat()];
  if (there !== null && there.ino === source.ino && there.dev === source.dev)
    throw new UsageError({ detail: 'The rejects file is an input file; name another one.' });
}

function formatOf(source: { readonly path: string; readonly format?: TableFormat }): TableFormat {
  if (source.format !== undefined) return source.format;
  const plain = source.path.toLowerCase().replace(/\.(gz|zst)$/, '');
  const extension = /\.([a-z0-9]+)$/.exec(plain)?.[1] ?? '';
  const format = Object.hasOwn(FORMAT_BY_EXTENSION, extension)
    ? FORMAT_BY_EXTENSION[extension]
    : undefined;
  if (format === undefined)
    throw new UsageError({
      detail:
        `The format of ${excerpt(source.path)} is not clear from its name; pass --format ` +
        '(csv, tsv, jsonl, parquet, recbole; sequences for "user item item ..." lines).',
    });
  return format;
}

function stageTable(
  staging: Staging,
  file: SourceFile,
  format: TableFormat,
  options: ImportOptions,
  fields: readonly string[],
): Promise<StagedTable> {
  if (format === 'jsonl') return stageJsonLines(staging, file, options);
  if (format !== 'parquet') return stageDelimited(staging, file, format, options);
  return stageParquet(staging, file, (names) => {
    const wanted = new Set([...Object.values(options.map ?? {}), ...fields]);
    const inWhere = columnsNamedIn(options.where ?? '', names);
    return new Set(names.filter((name) => wanted.has(name) || inWhere.has(name)));
  });
}
