/** What filters may look at, read from the catalogue: of given items, or of a sample. */
import type { Queryable } from '@nestrec/database';
import type { FilterableItem } from './filter-match.js';

interface FieldsRow extends Record<string, unknown> {
  readonly item_id: string;
  readonly brand: string | null;
  readonly categories: string[] | null;
  readonly available: boolean;
  readonly fields: Exclude<FilterableItem['fields'], undefined> | null;
}

/** Items among `itemIds` that the catalogue has, by id. */
export async function readItemFields(
  db: Queryable,
  itemIds: readonly string[],
): Promise<Map<string, FilterableItem>> {
  if (itemIds.length === 0) return new Map();
  const { rows } = await db.query<FieldsRow>(
    'SELECT item_id, brand, categories, available, fields FROM items WHERE item_id = ANY($1)',
    [itemIds],
  );
  return new Map(rows.map((row) => [row.item_id, toItem(row)]));
}

/** Rows that are read for a sample: enough pages that neighbours of one import do not stand for all. */
const ROWS_PER_SAMPLED = 20;

/** About `count` items of a catalogue of about `rows`, spread over its pages; all where there are no more. */
export async function readSampledFields(
  db: Queryable,
  count: number,
  rows: number,
): Promise<FilterableItem[]> {
  const pages = Math.min(1, (ROWS_PER_SAMPLED * count) / Math.max(rows, 1));
  const kept = Math.min(1, count / Math.max(pages * rows, 1));
  const { rows: found } = await db.query<FieldsRow>(
    `SELECT item_id, brand, categories, available, fields
     FROM items TABLESAMPLE SYSTEM ($1) WHERE random() <= $2 LIMIT $3`,
    [100 * pages, kept, 2 * count],
  );
  return found.map(toItem);
}

const toItem = (row: FieldsRow): FilterableItem => ({
  item_id: row.item_id,
  available: row.available,
  ...(row.brand === null ? {} : { brand: row.brand }),
  ...(row.categories === null ? {} : { categories: row.categories }),
  ...(row.fields === null ? {} : { fields: row.fields }),
});
