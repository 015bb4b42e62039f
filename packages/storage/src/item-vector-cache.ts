/**
 * Item vectors of a model version, through a cache bounded in bytes.
 *
 * Unknown items are not remembered: they may become known at any time. A re-embedded item is seen after
 * `forget` (same process) or when its entry ages out (other processes).
 */
import { LRUCache } from 'lru-cache';
import { parseVector, type Queryable } from '@nestrec/database';
import { itemVectorsTable } from './item-vectors.js';

const MAX_BYTES = 64 * 1024 * 1024;
/** A vector, and what a cell remembers for as long as the vector lives: its contribution, twice as large. */
const BYTES_PER_BYTE = 3;
const MAX_AGE_MS = 60_000;

export interface ItemVectorCache {
  /** Vectors (length D) of those items that the version knows. The same object while it is cached: do not write to it. */
  load(
    db: Queryable,
    version: string,
    itemIds: readonly string[],
  ): Promise<Map<string, Float32Array>>;
  forget(itemId: string): void;
}

export function createItemVectorCache(): ItemVectorCache {
  const byVersion = new Map<string, LRUCache<string, Float32Array>>();
  const cacheOf = (version: string) => {
    let cache = byVersion.get(version);
    if (cache === undefined) {
      // Only the version in use is worth its memory.
      byVersion.clear();
      cache = new LRUCache({
        maxSize: MAX_BYTES,
        sizeCalculation: (vector, id) => BYTES_PER_BYTE * vector.byteLength + 2 * id.length + 200,
        ttl: MAX_AGE_MS,
      });
      byVersion.set(version, cache);
    }
    return cache;
  };
  return {
    load: async (db, version, itemIds) => {
      const cache = cacheOf(version);
      const found = new Map<string, Float32Array>();
      const missing: string[] = [];
      for (const id of new Set(itemIds)) {
        const vector = cache.get(id);
        if (vector === undefined) missing.push(id);
        else found.set(id, vector);
      }
      if (missing.length === 0) return found;
      const { rows } = await db.query<{ item_id: string; embedding: string }>(
        `SELECT item_id, embedding FROM ${itemVectorsTable(version)} WHERE item_id = ANY($1)`,
        [missing],
      );
      for (const row of rows) {
        const vector = parseVector(row.embedding);
        cache.set(row.item_id, vector);
        found.set(row.item_id, vector);
      }
      return found;
    },
    forget: (itemId) => {
      for (const cache of byVersion.values()) cache.delete(itemId);
    },
  };
}
