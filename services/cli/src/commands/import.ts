/** `nestrec import events|items|features FILE`: files into the database, with an account of every row. */
import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import type { Database } from '@nestrec/database';
import {
  importInteractions,
  importItems,
  withAlreadyStored,
  withErased,
  type ImportSummary,
  type InteractionSource,
  type TableFormat,
} from '@nestrec/dataset';
import { catalogueOrder, readVectors, vectorsByItem } from '@nestrec/features';
import {
  deleteUserStates,
  getItems,
  insertInteractions,
  lockTombstones,
  noteNewItems,
  readTombstones,
  refreshPopularity,
  streamItems,
  upsertItems,
} from '@nestrec/storage';
import { defineAction, type CommandContext, type Invocation } from '../command-context.js';
import { excerpt, InsufficientData } from '@nestrec/errors';
import { embedImported } from '../live-catalogue.js';
import { withPlatform, type Platform } from '../platform.js';

const FORMATS = ['sequences', 'csv', 'tsv', 'jsonl', 'parquet', 'recbole'] as const;
const EVENTS_PER_TRANSACTION = 5_000;
const ITEMS_PER_TRANSACTION = 1_000;

interface FileOptions {
  map?: Record<string, string>;
  where?: string;
  maxBad?: number;
  delimiter?: string;
  header: boolean;
  json?: boolean;
}

interface EventOptions extends FileOptions {
  format?: (typeof FORMATS)[number];
  timestamps?: string;
  timeUnit?: 's' | 'ms' | 'us' | 'ns';
  timeFormat?: string;
  type?: string;
  earliest?: number;
  repeatedRows?: 'keep' | 'drop';
}

interface ItemOptions extends FileOptions {
  categorySeparator?: string;
  repeatedTitle?: 'most_frequent' | 'last';
}

export function addImport(program: Command, invocation: Invocation): void {
  const group = program
    .command('import')
    .description('read events, items and item vectors from files');
  addImportEvents(group, invocation);
  addImportItems(group, invocation);
  addImportFeatures(group, invocation);
}

function addImportEvents(group: Command, invocation: Invocation): void {
  const command = withFileOptions(group.command('events'))
    .description('import who did what when')
    .argument(
      '<file>',
      'sequence file, CSV, TSV, JSON Lines, Parquet or RecBole .inter; .gz and .zst too',
    )
    .option(
      '--format <format>',
      `one of ${FORMATS.join(', ')}; default: from the name`,
      oneOf(FORMATS),
    )
    .option(
      '--timestamps <file>',
      'for sequence files: the same lines with times in place of items',
    )
    .option(
      '--time-unit <unit>',
      'unit of numeric times: s, ms, us or ns',
      oneOf(['s', 'ms', 'us', 'ns'] as const),
    )
    .option('--time-format <format>', 'strptime format of text times that are not ISO 8601 (UTC)')
    .option('--type <type>', 'type of events that have none in the file')
    .option(
      '--earliest <time>',
      'earlier events are bad rows; default 2000-01-01T00:00:00Z',
      parseTime,
    )
    .option(
      '--repeated-rows <what>',
      'rows that repeat another in every field: keep (further events) or drop (duplicates)',
      oneOf(['keep', 'drop'] as const),
    )
    .addHelpText(
      'after',
      `
Examples:
  nestrec import events events.jsonl
  nestrec import events online_retail.parquet \\
    --map user_id=CustomerID,item_id=StockCode,timestamp=InvoiceDate \\
    --where "CustomerID IS NOT NULL AND Quantity > 0"
  nestrec import events sequences.txt --format sequences --timestamps timestamps.txt`,
    );
  defineAction<EventOptions>(command, invocation, (context, [file], options) =>
    withPlatform(context.config, (platform) => importEvents(context, platform, file!, options)),
  );
}

async function importEvents(
  { output }: CommandContext,
  platform: Platform,
  file: string,
  options: EventOptions,
): Promise<void> {
  const source: InteractionSource =
    options.format === 'sequences' || (options.format === undefined && file.endsWith('.txt'))
      ? { kind: 'sequences', path: file, ...optional('timestampsPath', options.timestamps) }
      : { kind: 'table', path: file, ...optional('format', options.format as TableFormat) };
  output.note(`Reading ${file} ...`);
  const imported = await importInteractions(source, {
    ...fileOptions(platform, options, 'events'),
    ...optional('timeUnit', options.timeUnit),
    ...optional('timeFormat', options.timeFormat),
    ...optional('type', options.type),
    ...optional('earliestMs', options.earliest),
    ...optional('repeatedRows', options.repeatedRows),
    nowMs: Date.now(),
  });
  try {
    const bar = output.progress('Storing events', imported.summary.stored);
    let [handed, stored, erased] = [0, 0, 0];
    for await (const batch of imported.batches({ batchSize: EVENTS_PER_TRANSACTION })) {
      const done = await storeEvents(platform.db, batch);
      stored += done.stored;
      erased += done.erased;
      handed += batch.length;
      bar.update(handed, `${handed} of ${imported.summary.stored}`);
    }
    bar.stop();
    await refreshPopularity(platform.db);
    const summary = withErased(
      withAlreadyStored(imported.summary, handed - stored - erased),
      erased,
    );
    output.result(summary, renderSummary('events', summary));
  } finally {
    await imported.close();
  }
}

/**
 * Stores one batch in one transaction and returns how many events were new, and how many were left out
 * since they or their users had been erased. States of users with new events are dropped with it: they are
 * rebuilt from the events when next touched.
 */
export async function storeEvents(
  db: Database,
  batch: Parameters<typeof insertInteractions>[1],
): Promise<{ stored: number; erased: number }> {
  return db.transaction(async (tx) => {
    // An erasure that ingest applies meanwhile comes before this batch or after it, not in between.
    await lockTombstones(tx);
    const tombstones = await readTombstones(tx, batch);
    const events = batch.filter((event) => tombstones.stop(event) === null);
    const { inserted } = await insertInteractions(tx, events);
    const added = events.filter((event) => inserted.has(event.eventId));
    await deleteUserStates(tx, [...new Set(added.map((event) => event.userId))]);
    await noteNewItems(tx, [...new Set(added.map((event) => event.itemId))]);
    return { stored: inserted.size, erased: batch.length - events.length };
  });
}

function addImportItems(group: Command, invocation: Invocation): void {
  const command = withFileOptions(group.command('items'))
    .description('import the catalogue: titles, brands, categories')
    .argument('<file>', 'JSON Lines, CSV, TSV, Parquet or RecBole .item; .gz and .zst too')
    .option('--category-separator <text>', "splits categories that are one text; default '|'")
    .option(
      '--repeated-title <which>',
      'which title an item with several rows keeps: most_frequent or last',
      oneOf(['most_frequent', 'last'] as const),
    )
    .addHelpText(
      'after',
      `
Examples:
  nestrec import items items.jsonl
  nestrec import items online_retail.parquet --map item_id=StockCode,title=Description`,
    );
  defineAction<ItemOptions>(command, invocation, (context, [file], options) =>
    withPlatform(context.config, async (platform) => {
      const { output } = context;
      output.note(`Reading ${file} ...`);
      const imported = await importItems(
        { path: file! },
        {
          ...fileOptions(platform, options, 'items'),
          ...optional('categorySeparator', options.categorySeparator),
          ...optional('repeatedTitle', options.repeatedTitle),
        },
      );
      try {
        const bar = output.progress('Storing items', imported.summary.stored);
        let stored = 0;
        for await (const batch of imported.batches({ batchSize: ITEMS_PER_TRANSACTION })) {
          await platform.db.transaction((tx) => upsertItems(tx, batch));
          bar.update((stored += batch.length));
        }
        bar.stop();
        await embedImported(context, platform);
        output.result(imported.summary, renderSummary('items', imported.summary));
      } finally {
        await imported.close();
      }
    }),
  );
}

function addImportFeatures(group: Command, invocation: Invocation): void {
  const command = group
    .command('features')
    .description('import precomputed item vectors of one modality')
    .argument('<file>', '.safetensors, .npy, or JSON Lines of {"item_id", "vector"}')
    .requiredOption('--modality <name>', 'name of the modality, such as image', parseModality)
    .option(
      '--ids <file>',
      'item ids, one a line, row by row; default: the catalogue in the order of its ids, by number where all are numbers',
    )
    .option('--tensor <name>', 'which tensor of a .safetensors file that holds several')
    .addHelpText(
      'after',
      '\nExample:\n  nestrec import features clip.npy --modality image --ids item-ids.txt',
    );
  interface Options {
    modality: string;
    ids?: string;
    tensor?: string;
    json?: boolean;
  }
  defineAction<Options>(command, invocation, (context, [file], options) =>
    withPlatform(context.config, async (platform) => {
      const { db } = platform;
      const vectors = await readVectors(file!, {
        ...optional('idsPath', options.ids),
        ...optional('tensor', options.tensor),
      });
      const catalogue: string[] = [];
      for await (const batch of streamItems(db)) catalogue.push(...batch.map((i) => i.item_id));
      if (catalogue.length === 0) {
        throw new InsufficientData({
          detail: 'The catalogue is empty. Import items first: nestrec import items FILE.',
        });
      }
      const order = catalogueOrder(catalogue);
      const byItem = [...vectorsByItem(vectors, order.ids)];
      if (vectors.ids === undefined) {
        context.output.note(
          `The file names no items: its rows were taken in the order of the catalogue's ids, by ${order.by}, ` +
            `first "${excerpt(order.ids[0])}", last "${excerpt(order.ids.at(-1))}". Another order needs --ids.`,
        );
      }
      const known = new Set(catalogue);
      const unknown = byItem.filter(([id]) => !known.has(id)).length;
      const rows = byItem.filter(([id]) => known.has(id));
      for (let at = 0; at < rows.length; at += ITEMS_PER_TRANSACTION) {
        await storeFeatures(db, options.modality, rows.slice(at, at + ITEMS_PER_TRANSACTION));
      }
      await embedImported(context, platform);
      const result = { modality: options.modality, stored: rows.length, unknownItems: unknown };
      context.output.result(
        result,
        `Stored ${rows.length} vectors of "${options.modality}"; ${unknown} rows name items that the catalogue lacks.`,
      );
    }),
  );
}

async function storeFeatures(
  db: Database,
  modality: string,
  rows: readonly (readonly [string, Float32Array])[],
): Promise<void> {
  await db.transaction(async (tx) => {
    const items = await getItems(
      tx,
      rows.map(([id]) => id),
    );
    const updated = rows.flatMap(([id, vector]) => {
      const item = items.get(id);
      return item === undefined
        ? []
        : [{ ...item, features: { ...item.features, [modality]: [...vector] } }];
    });
    await upsertItems(tx, updated);
  });
}

function withFileOptions(command: Command): Command {
  return command
    .option('--map <mapping>', 'our field=column of the file, comma separated', parseMapping)
    .option('--where <condition>', 'one SQL condition over the columns of the file (DuckDB)')
    .option('--delimiter <character>', 'CSV and TSV: what separates fields')
    .option('--no-header', 'CSV and TSV: the first line is data; columns are column1, column2, ...')
    .option(
      '--max-bad <share>',
      'share of bad rows above which nothing is imported, as in 0.001',
      parseShare,
    );
}

function fileOptions(platform: Platform, options: FileOptions, what: string) {
  const stamp = new Date().toISOString().replace(/[:.]/g, '-');
  return {
    ...optional('map', options.map),
    ...optional('where', options.where),
    ...optional('maxBad', options.maxBad),
    ...optional('delimiter', options.delimiter),
    header: options.header,
    rejectsPath: join(platform.folders.rejects, `${what}-${stamp}.jsonl`),
  };
}

/** `{}` or `{[key]: value}`: absent options stay absent, so that defaults of the importer apply. */
function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}

function parseMapping(text: string): Record<string, string> {
  const mapping: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of text.split(',')) {
    const [field, column] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    if (!pair.includes('=') || field === '' || column === '') {
      throw new InvalidArgumentError('wanted FIELD=COLUMN[,FIELD=COLUMN...].');
    }
    mapping[field.trim()] = column.trim();
  }
  return mapping;
}

function parseTime(text: string): number {
  const ms = Date.parse(text);
  if (/^\d{4}-\d\d-\d\d(T.*(Z|[+-]\d\d:\d\d))?$/.test(text) && !Number.isNaN(ms)) return ms;
  throw new InvalidArgumentError('wanted a time such as 1996-01-31 or 1996-01-31T00:00:00Z.');
}

function parseModality(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError(
    'wanted up to 64 letters, digits, ".", "_" and "-", beginning with a letter or digit.',
  );
}

function parseShare(text: string): number {
  const value = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('wanted a share from 0 to 1, or a percentage such as 0.1%.');
}

function oneOf<const C extends readonly string[]>(choices: C): (text: string) => C[number] {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new InvalidArgumentError(`wanted one of ${choices.join(', ')}.`);
    return found;
  };
}

function renderSummary(what: string, summary: ImportSummary): string {
  const { read, stored, duplicate, filtered, bad } = summary;
  const lines = [
    `${what}: read ${read} = stored ${stored} + duplicate ${duplicate} + filtered ${filtered} + bad ${bad}`,
    ...Object.entries(summary.badByReason).map(([reason, count]) => `  bad, ${reason}: ${count}`),
    ...summary.rejects.map(
      (r) =>
        `  line ${r.line}${r.column === null ? '' : `, ${r.column}`}: ${r.reason}: got ${r.got}, wanted ${r.want}`,
    ),
    ...(bad > 0 && summary.rejectsPath !== null ? [`  all of them: ${summary.rejectsPath}`] : []),
    ...summary.notes.map((note) => `  note: ${note}`),
  ];
  return lines.join('\n');
}
