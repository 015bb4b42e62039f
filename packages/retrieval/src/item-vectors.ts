/**
 * Vectors of items by id, from the table of a version; those of histories through a bounded cache, for the
 * same popular items stand in most of them.
 */
import { parseVector, type Queryable } from '@nestrec/database';
import { createItemVectorCache, getVectorsRevision, type ItemVectorCache } from '@nestrec/storage';
import type { PublishedModel } from './published-models.js';

/** Goes with its model, so versions cannot be mixed up. */
const caches = new WeakMap<PublishedModel, ItemVectorCache>();

function cacheOf(model: PublishedModel): ItemVectorCache {
  const cache = caches.get(model) ?? createItemVectorCache();
  caches.set(model, cache);
  return cache;
}

/**
 * Vectors, length D, of those items that the version holds, removed ones included. Do not write to them.
 * Items that it does not hold are asked for again each time: they may be added at any moment.
 */
export function readItemVectors(
  db: Queryable,
  model: PublishedModel,
  itemIds: readonly string[],
): Promise<Map<string, Float32Array>> {
  return cacheOf(model).load(db, model.vectorsVersion, itemIds);
}

/** From now on `readItemVectors` gives the vectors as they stand in the database now, or newer. */
export async function refreshItemVectors(db: Queryable, model: PublishedModel): Promise<void> {
  const revision = await getVectorsRevision(db, model.vectorsVersion);
  await cacheOf(model).catchUp(db, model.vectorsVersion, revision);
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
