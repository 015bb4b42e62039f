/** The catalogue: items with their text, availability, free fields, and vectors per modality. */
import type { Item } from '@nestrec/contracts';
import { float32Bytes, float32FromBytes, json, type Queryable } from '@nestrec/database';

interface ItemRow extends Record<string, unknown> {
  item_id: string;
  title: string | null;
  brand: string | null;
  categories: string[] | null;
  available: boolean;
  fields: Record<string, string | number | boolean | string[]> | null;
  written_at: string;
  modalities: string[] | null;
  vectors: Uint8Array[] | null;
}

/** An item in one of its forms. */
export interface StoredItem {
  readonly item: Item;
  /**
   * When this form was written, as the database prints it: a Date would lose microseconds. Each form of an item has
   * a later time than the one before, whatever the clock does.
   */
  readonly writtenAt: string;
}

const SELECT_ITEMS = `
  SELECT i.item_id, i.title, i.brand, i.categories, i.available, i.fields,
    i.updated_at::text AS written_at, f.modalities, f.vectors
  FROM items i
  LEFT JOIN LATERAL (
    SELECT array_agg(modality ORDER BY modality) AS modalities,
           array_agg(vector ORDER BY modality) AS vectors
    FROM item_features x WHERE x.item_id = i.item_id
  ) f ON true`;

function toItem(row: ItemRow): Item {
  return {
    item_id: row.item_id,
    ...(row.title === null ? {} : { title: row.title }),
    ...(row.brand === null ? {} : { brand: row.brand }),
    ...(row.categories === null ? {} : { categories: row.categories }),
    available: row.available,
    ...(row.fields === null ? {} : { fields: row.fields }),
    ...(row.modalities === null ? {} : { features: toFeatures(row.modalities, row.vectors!) }),
  };
}

function toFeatures(modalities: string[], vectors: Uint8Array[]): Record<string, number[]> {
  // fromEntries defines own properties, so a modality named __proto__ is a plain key.
  return Object.fromEntries(
    modalities.map((name, index) => [name, Array.from(float32FromBytes(vectors[index]!))]),
  );
}

/**
 * Writes items whole: what a new version of an item leaves out is removed, its vectors included. Of
 * several entries with one id the last counts. Vectors are kept as float32. A deleted item is back with it.
 * @returns the ids that were not there before
 */
export async function upsertItems(db: Queryable, items: readonly Item[]): Promise<Set<string>> {
  if (items.length === 0) return new Set();
  const byId = new Map(items.map((item) => [item.item_id, item]));
  const rows = [...byId.values()].sort((a, b) =>
    a.item_id < b.item_id ? -1 : a.item_id > b.item_id ? 1 : 0,
  );
  const created = await writeRows(db, rows);
  await db.query('DELETE FROM deleted_items WHERE item_id = ANY($1)', [[...byId.keys()]]);
  await writeFeatures(db, rows);
  return created;
}

async function writeRows(db: Queryable, items: readonly Item[]): Promise<Set<string>> {
  const { rows } = await db.query<{ item_id: string; created: boolean }>(
    // Lists travel as JSON, because SQL arrays of arrays must be rectangular.
    `INSERT INTO items (item_id, title, brand, categories, available, fields, updated_at)
     SELECT item_id, title, brand,
            CASE WHEN categories IS NULL THEN NULL
                 ELSE ARRAY(SELECT jsonb_array_elements_text(categories)) END,
            available, fields, clock_timestamp()
     FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::bool[], $6::jsonb[])
       AS t (item_id, title, brand, categories, available, fields)
     ON CONFLICT (item_id) DO UPDATE SET
       title = excluded.title, brand = excluded.brand, categories = excluded.categories,
       available = excluded.available, fields = excluded.fields,
       updated_at = greatest(clock_timestamp(), items.updated_at + interval '1 microsecond')
     RETURNING item_id, xmax = 0 AS created`,
    [
      items.map((item) => item.item_id),
      items.map((item) => item.title ?? null),
      items.map((item) => item.brand ?? null),
      items.map((item) => (item.categories === undefined ? null : json(item.categories))),
      items.map((item) => item.available),
      items.map((item) => (item.fields === undefined ? null : json(item.fields))),
    ],
  );
  return new Set(rows.filter((row) => row.created).map((row) => row.item_id));
}

async function writeFeatures(db: Queryable, items: readonly Item[]): Promise<void> {
  const ids: string[] = [];
  const modalities: string[] = [];
  const vectors: Uint8Array[] = [];
  for (const item of items) {
    for (const [modality, vector] of Object.entries(item.features ?? {})) {
      ids.push(item.item_id);
      modalities.push(modality);
      vectors.push(float32Bytes(Float32Array.from(vector)));
    }
  }
  await db.query(
    `DELETE FROM item_features f WHERE f.item_id = ANY($1::text[]) AND NOT EXISTS (
       SELECT 1 FROM unnest($2::text[], $3::text[]) k (item_id, modality)
       WHERE k.item_id = f.item_id AND k.modality = f.modality)`,
    [items.map((item) => item.item_id), ids, modalities],
  );
  if (ids.length === 0) return;
  await db.query(
    `INSERT INTO item_features (item_id, modality, vector)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
     ON CONFLICT (item_id, modality) DO UPDATE SET vector = excluded.vector`,
    [ids, modalities, vectors],
  );
}

export async function getItem(db: Queryable, itemId: string): Promise<Item | null> {
  const { rows } = await db.query<ItemRow>(`${SELECT_ITEMS} WHERE i.item_id = $1`, [itemId]);
  return rows[0] ? toItem(rows[0]) : null;
}

/** The items among `itemIds` that exist, by id. */
export async function getItems(
  db: Queryable,
  itemIds: readonly string[],
): Promise<Map<string, Item>> {
  const stored = await getStoredItems(db, itemIds);
  return new Map([...stored].map(([itemId, { item }]) => [itemId, item]));
}

/** The items among `itemIds` that exist, by id, each with the time of the form that was read. */
export async function getStoredItems(
  db: Queryable,
  itemIds: readonly string[],
): Promise<Map<string, StoredItem>> {
  const { rows } = await db.query<ItemRow>(`${SELECT_ITEMS} WHERE i.item_id = ANY($1)`, [itemIds]);
  return new Map(
    rows.map((row) => [row.item_id, { item: toItem(row), writtenAt: row.written_at }]),
  );
}

/**
 * Removes items from the catalogue and marks them as deleted, so that no version shows them again. Interactions
 * stay.
 * @returns the ids that were there
 */
export async function deleteItems(db: Queryable, itemIds: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ item_id: string }>(
    `WITH gone AS (DELETE FROM items WHERE item_id = ANY($1) RETURNING item_id),
     marked AS (INSERT INTO deleted_items (item_id) SELECT item_id FROM gone ORDER BY item_id
                ON CONFLICT (item_id) DO NOTHING)
     SELECT item_id FROM gone`,
    [itemIds],
  );
  return rows.map((row) => row.item_id);
}

/** The whole catalogue in id order (bytewise), in batches. */
export async function* streamItems(db: Queryable, batchSize = 1_000): AsyncGenerator<Item[]> {
  let after = '';
  for (;;) {
    const { rows } = await db.query<ItemRow>(
      `${SELECT_ITEMS} WHERE i.item_id > $1 ORDER BY i.item_id LIMIT $2`,
      [after, batchSize],
    );
    if (rows.length > 0) yield rows.map(toItem);
    if (rows.length < batchSize) return;
    after = rows.at(-1)!.item_id;
  }
}

export async function countItems(db: Queryable): Promise<bigint> {
  const { rows } = await db.query<{ items: bigint }>('SELECT count(*) AS items FROM items');
  return rows[0]!.items;
}
