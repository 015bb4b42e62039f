/**
 * Vectors of items by id, from the table of a version; those of histories through a bounded cache, for the
 * same popular items stand in most of them.
 */
import { LRUCache } from 'lru-cache';
import { parseVector, type Queryable } from '@nestrec/database';
import type { PublishedModel } from './published-models.js';

const MAX_BYTES = 64 * 1024 * 1024;
/** How long a history may be folded with the vector that an item had before it was changed. */
const MAX_AGE_MS = 60_000;

/** Goes with its model, so versions cannot be mixed up. */
const caches = new WeakMap<PublishedModel, LRUCache<string, Float32Array>>();

function cacheOf(model: PublishedModel): LRUCache<string, Float32Array> {
  const known = caches.get(model);
  if (known !== undefined) return known;
  const cache = new LRUCache<string, Float32Array>({
    maxSize: MAX_BYTES,
    sizeCalculation: (vector, itemId) => vector.byteLength + 2 * itemId.length + 100,
    ttl: MAX_AGE_MS,
  });
  caches.set(model, cache);
  return cache;
}

/**
 * Vectors, length D, of those items that the version holds, removed ones included. Do not write to them.
 * Items that it does not hold are asked for again each time: they may be added at any moment.
 */
export async function readItemVectors(
  db: Queryable,
  model: PublishedModel,
  itemIds: readonly string[],
): Promise<Map<string, Float32Array>> {
  const cache = cacheOf(model);
  const found = new Map<string, Float32Array>();
  const missing: string[] = [];
  for (const itemId of new Set(itemIds)) {
    const vector = cache.get(itemId);
    if (vector === undefined) missing.push(itemId);
    else found.set(itemId, vector);
  }
  if (missing.length === 0) return found;
  const { rows } = await db.query<{ item_id: string; embedding: string }>(
    `SELECT item_id, embedding FROM ${model.table} WHERE item_id = ANY($1)`,
    [missing],
  );
  for (const row of rows) {
    const vector = parseVector(row.embedding);
    cache.set(row.item_id, vector);
    found.set(row.item_id, vector);
  }
  return found;
}

/** The vector, length D, of an item that may be shown or asked about; null where there is none. */
export async function readServedVector(
  db: Queryable,
  model: PublishedModel,
  itemId: string,
): Promise<Float32Array | null> {
  const { rows } = await db.query<{ embedding: string }>(
    `SELECT embedding FROM ${model.table} WHERE item_id = $1 AND NOT removed`,
    [itemId],
  );
  return rows[0] ? parseVector(rows[0].embedding) : null;
}
