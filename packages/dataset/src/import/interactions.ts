/**
 * Imports events from a file: everything is read, judged and counted first, then handed on in batches.
 *
 * Knows no database: the caller stores the batches. Text is cut into rows here and not by DuckDB, whose
 * reader keeps no line numbers of good rows and cannot be held to limits of line length and inflation;
 * DuckDB reads Parquet, evaluates `--where`, and sorts and numbers out of core.
 */
import { InsufficientData } from '@nestrec/errors';
import type { InteractionRow } from './types.js';
import { resolveMapping, type StagedTable } from './columns.js';
import {
  createEvents,
  createMapped,
  createVerdicts,
  MADE_UP_TIMES_FROM_MS,
} from './judge-interactions.js';
import { countRejects, DEFAULT_MAX_BAD, enforceMaxBad, saveRejects } from './rejects.js';
import { stageSource } from './stage-source.js';
import type { Staging } from './staging.js';
import { addUp } from './summary.js';
import type {
  InteractionImport,
  InteractionImportOptions,
  InteractionImportSummary,
  InteractionSource,
} from './types.js';

const FIELDS = {
  user_id: true,
  item_id: true,
  timestamp: false,
  type: false,
  value: false,
  event_id: false,
};
const DEFAULT_BATCH = 10_000;

/**
 * Reads and judges a file of events.
 *
 * A file without times keeps its order: event n of the file is given the time 2000-01-01 plus n seconds,
 * and the summary says `realTimes: false`.
 *
 * @throws InputNotFound, InvalidInput (the file as a whole), UsageError (mapping, condition),
 *   TooManyBadRows, InsufficientData (no row left), StagingFailed, OutputNotWritable.
 */
export function importInteractions(
  source: InteractionSource,
  options: InteractionImportOptions,
): Promise<InteractionImport> {
  return stageSource(source, options, Object.keys(FIELDS), async (staging, table) => {
    const summary = await judge(staging, table, source, options);
    return {
      summary,
      batches: (how = {}) =>
        batchesOf(staging, how.order ?? 'file', how.batchSize ?? DEFAULT_BATCH),
      close: () => staging.close(),
    };
  });
}

async function judge(
  staging: Staging,
  table: StagedTable,
  source: InteractionSource,
  options: InteractionImportOptions,
): Promise<InteractionImportSummary> {
  const notes = [...table.notes];
  const mapping = resolveMapping(table.columns, options.map ?? {}, FIELDS);
  if (table.format === 'recbole' && !mapping.has('value') && options.map?.['value'] === undefined) {
    const rating = table.columns.find((column) => column.name === 'rating');
    if (rating !== undefined)
      notes.push('Column rating was left out; --map value=rating keeps it.');
  }
  await createMapped(staging, mapping, options, notes);
  await createVerdicts(staging, mapping, options, notes);
  const counts = await createEvents(
    staging,
    mapping.has('event_id'),
    options.repeatedRows ?? 'keep',
  );
  await staging.run('DROP TABLE raw CASCADE');
  const rejected = await countRejects(staging);
  const rejectsPath = await saveRejects(staging, options.rejectsPath, rejected.bad);
  enforceMaxBad(rejected, table.read, options.maxBad ?? DEFAULT_MAX_BAD, rejectsPath);
  if (counts.stored === 0)
    throw new InsufficientData({
      detail: `Of ${table.read} rows none is left: ${counts.filtered} filtered, ${rejected.bad} bad.`,
    });
  const realTimes = mapping.has('timestamp');
  if (!realTimes)
    notes.push(
      `The file has no times; its order was kept by made-up times from ${new Date(MADE_UP_TIMES_FROM_MS).toISOString().slice(0, 10)} on, one second apart.`,
    );
  await noteOddities(staging, table.format, realTimes, notes);
  const [span] = await staging.rows(
    `SELECT count(DISTINCT user_id)::DOUBLE, count(DISTINCT item_id)::DOUBLE,
            min(ms)::DOUBLE, max(ms)::DOUBLE FROM events`,
  );
  const [users, items, from, to] = span!.map(Number) as [number, number, number, number];
  return addUp({
    path: source.path,
    format: table.format,
    read: table.read,
    ...counts,
    ...rejected,
    rejectsPath,
    notes,
    users,
    items,
    from: realTimes ? from : null,
    to: realTimes ? to : null,
    realTimes,
  });
}

/** What is legitimate, but often a mistake further up. */
async function noteOddities(
  staging: Staging,
  format: string,
  realTimes: boolean,
  notes: string[],
): Promise<void> {
  for (const [field, name] of [
    ['user_id', 'user'],
    ['item_id', 'item'],
  ] as const) {
    const [row] = await staging.rows(
      `SELECT (count(DISTINCT ${field}) - count(DISTINCT lower(trim(nfc_normalize(${field})))))::DOUBLE FROM events`,
    );
    if (Number(row![0]) > 0)
      notes.push(
        `${Number(row![0])} ${name} ids differ from another only by letter case, outer spaces or Unicode form; they were kept apart.`,
      );
  }
  if (!realTimes) return;
  const [ties] = await staging.rows(
    `SELECT coalesce(sum(n), 0)::DOUBLE FROM (SELECT count(*) AS n FROM events GROUP BY user_id, ms HAVING n > 1)`,
  );
  if (Number(ties![0]) > 0)
    notes.push(
      `${Number(ties![0])} events share user and time with another; these are ordered by event id (derived ids: the file's order).`,
    );
  if (format !== 'sequences') return;
  const [back] = await staging.rows(
    `SELECT count(*)::DOUBLE FROM (SELECT ms < lag(ms) OVER (PARTITION BY line ORDER BY ord) AS back FROM events) WHERE back`,
  );
  if (Number(back![0]) > 0)
    notes.push(
      `${Number(back![0])} events are earlier than the one before them in their line; order is by time.`,
    );
}

async function* batchesOf(
  staging: Staging,
  order: 'file' | 'user',
  batchSize: number,
): AsyncGenerator<InteractionRow[], void, undefined> {
  const by = order === 'file' ? 'ord' : 'user_id, ms, event_id';
  let batch: InteractionRow[] = [];
  const rows = staging.stream(
    `SELECT event_id, user_id, item_id, type, ms::DOUBLE, value FROM events ORDER BY ${by}`,
  );
  for await (const chunk of rows) {
    for (const [eventId, userId, itemId, type, timestampMs, value] of chunk) {
      batch.push({
        eventId: String(eventId),
        userId: String(userId),
        itemId: String(itemId),
        type: String(type),
        timestampMs: Number(timestampMs),
        value: value === null ? null : Number(value),
      });
      if (batch.length < batchSize) continue;
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}
