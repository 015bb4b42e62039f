/**
 * Imports a catalogue: each item once, also where the file (a table of sales, say) has many rows of it.
 *
 * All fields come from the item's last row, except that the title may be its most frequent one (between
 * equally frequent ones, the one seen last): in tables of sales, a last title is often a remark.
 */
import { itemSchema, type Item } from '@nestrec/contracts';
import { excerpt, InsufficientData } from '@nestrec/errors';
import { idExpression, resolveMapping, type ResolvedMapping, type StagedTable } from './columns.js';
import { buildItem, type ItemCells } from './item-cells.js';
import {
  appendReject,
  countRejects,
  DEFAULT_MAX_BAD,
  enforceMaxBad,
  saveRejects,
} from './rejects.js';
import { stageSource } from './stage-source.js';
import type { Staging } from './staging.js';
import { addUp } from './summary.js';
import type { ItemImport, ItemImportOptions, ItemImportSummary, TableFormat } from './types.js';

const FIELDS = {
  item_id: true,
  title: false,
  brand: false,
  categories: false,
  available: false,
  fields: false,
  features: false,
};
const DEFAULT_BATCH = 1_000;
/** Equal rows are judged once: tables of sales repeat each product's row thousands of times. */
const REMEMBERED_CHARACTERS = 16_000_000;

/**
 * Reads and judges a file of items. Mapped fields: item_id (required), title, brand, categories, available,
 * any `fields.NAME`, which is kept among the item's own fields (numbers as numbers), and the JSON objects
 * `fields` and `features` (vectors by modality).
 *
 * @throws as `importInteractions`.
 */
export function importItems(
  source: { readonly path: string; readonly format?: TableFormat },
  options: ItemImportOptions = {},
): Promise<ItemImport> {
  const table = { kind: 'table' as const, ...source };
  return stageSource(table, options, Object.keys(FIELDS), async (staging, staged) => {
    const summary = await judge(staging, staged, source.path, options);
    return {
      summary,
      batches: (how = {}) => batchesOf(staging, how.batchSize ?? DEFAULT_BATCH),
      close: () => staging.close(),
    };
  });
}

async function judge(
  staging: Staging,
  table: StagedTable,
  path: string,
  options: ItemImportOptions,
): Promise<ItemImportSummary> {
  const notes = [...table.notes];
  const mapping = resolveMapping(
    table.columns,
    options.map ?? {},
    FIELDS,
    (field) => /^fields\.[^.]{1,64}$/.test(field) || Object.hasOwn(FIELDS, field),
  );
  const filtered = await judgeRows(staging, table, mapping, options, notes);
  const counts = await mergeRows(staging, options.repeatedTitle ?? 'most_frequent', notes);
  const rejected = await countRejects(staging);
  const rejectsPath = await saveRejects(staging, options.rejectsPath, rejected.bad);
  enforceMaxBad(rejected, table.read, options.maxBad ?? DEFAULT_MAX_BAD, rejectsPath);
  if (counts.stored === 0)
    throw new InsufficientData({
      detail: `Of ${table.read} rows none is left: ${filtered} filtered, ${rejected.bad} bad.`,
    });
  return addUp({
    path,
    format: table.format,
    read: table.read,
    ...counts,
    filtered,
    ...rejected,
    rejectsPath,
    notes,
  });
}

/** Fills `item_rows` with the good rows; returns how many the condition left out. */
async function judgeRows(
  staging: Staging,
  table: StagedTable,
  mapping: ResolvedMapping,
  options: ItemImportOptions,
  notes: string[],
): Promise<number> {
  await staging.run(
    'CREATE TABLE item_rows (ord BIGINT, item_id VARCHAR, title VARCHAR, body VARCHAR)',
  );
  const good = await staging.appender('item_rows');
  const rejects = await staging.appender('rejects');
  const fields = [...mapping.keys()].filter((field) => field !== 'item_id');
  const id = await idExpression(staging, mapping.get('item_id')!, notes);
  const cells = fields.map((field) => `, ${mapping.get(field)!.text}`).join('');
  const condition = options.where === undefined ? '' : 'WHERE ord IN (SELECT ord FROM wanted)';
  const separator = options.categorySeparator ?? (table.format === 'recbole' ? ' ' : '|');
  const remembered = new Map<string, ReturnType<typeof judgeItem>>();
  let rememberedCharacters = 0;
  let wanted = 0;
  const rows = staging.stream(
    `SELECT ord::DOUBLE, line::DOUBLE, ${id}${cells} FROM raw ${condition} ORDER BY ord`,
  );
  for await (const chunk of rows) {
    for (const [ord, line, ...values] of chunk) {
      wanted++;
      const key = JSON.stringify(values);
      let verdict = remembered.get(key);
      if (verdict === undefined) {
        rememberedCharacters += key.length;
        if (rememberedCharacters > REMEMBERED_CHARACTERS) {
          remembered.clear();
          rememberedCharacters = key.length;
        }
        verdict = judgeItem(fields, values as (string | null)[], separator);
        remembered.set(key, verdict);
      }
      if ('item' in verdict)
        good.append(
          BigInt(ord as number),
          verdict.item.item_id,
          verdict.item.title ?? null,
          verdict.body,
        );
      else
        appendReject(rejects, { ord: ord as number, line: line as number, ...verdict, text: key });
    }
  }
  good.close();
  rejects.close();
  const [staged] = await staging.rows('SELECT count(*)::DOUBLE FROM raw');
  await staging.run('DROP TABLE raw CASCADE');
  return Number(staged![0]) - wanted;
}

function judgeItem(
  fields: readonly string[],
  [itemId, ...values]: readonly (string | null)[],
  separator: string,
): { item: Item; body: string } | { reason: string; want: string; column: string } {
  const cells: ItemCells = new Map(fields.map((field, i) => [field, values[i] ?? '']));
  const built = buildItem(itemId ?? '', cells, separator);
  if ('reason' in built) return built;
  const parsed = itemSchema.safeParse(built.item);
  if (parsed.success) return { item: parsed.data, body: JSON.stringify(parsed.data) };
  const issue = parsed.error.issues[0]!;
  const column = String(issue.path[0] ?? 'item_id');
  return {
    reason: column === 'item_id' && !itemId ? 'item_id_missing' : `${column}_invalid`,
    want: excerpt(issue.message),
    column,
  };
}

/** Fills `catalogue`: one row per item. */
async function mergeRows(
  staging: Staging,
  repeatedTitle: 'most_frequent' | 'last',
  notes: string[],
): Promise<{ stored: number; duplicate: number; withoutTitle: number }> {
  const order = repeatedTitle === 'last' ? 'max(ord) DESC' : 'count(*) DESC, max(ord) DESC';
  await staging.run(
    `CREATE TABLE catalogue AS
     WITH merged AS (SELECT item_id, min(ord) AS first_ord, arg_max(body, ord) AS body, count(*) AS n,
         count(DISTINCT title) AS titles FROM item_rows GROUP BY item_id),
     titles AS (SELECT item_id, title FROM item_rows WHERE title IS NOT NULL GROUP BY item_id, title
         QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY ${order}) = 1)
     SELECT merged.*, titles.title FROM merged LEFT JOIN titles USING (item_id)`,
  );
  const [row] = await staging.rows(
    `SELECT count(*)::DOUBLE, coalesce(sum(n - 1), 0)::DOUBLE, count(*) FILTER (WHERE title IS NULL)::DOUBLE,
       count(*) FILTER (WHERE titles > 1)::DOUBLE FROM catalogue`,
  );
  const [stored, duplicate, withoutTitle, several] = row!.map(Number) as [
    number,
    number,
    number,
    number,
  ];
  if (several > 0)
    notes.push(
      `${several} items have several titles; the ${repeatedTitle === 'last' ? 'last' : 'most frequent'} one was kept.`,
    );
  return { stored, duplicate, withoutTitle };
}

async function* batchesOf(
  staging: Staging,
  batchSize: number,
): AsyncGenerator<Item[], void, undefined> {
  let batch: Item[] = [];
  const rows = staging.stream('SELECT body, title FROM catalogue ORDER BY first_ord');
  for await (const chunk of rows) {
    for (const [body, title] of chunk) {
      const item = JSON.parse(String(body)) as Item;
      batch.push(title === null ? item : { ...item, title: String(title) });
      if (batch.length < batchSize) continue;
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}
