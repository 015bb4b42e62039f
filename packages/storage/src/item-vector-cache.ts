/**
 * Item vectors of a version that has a table of them, through a cache bounded in bytes.
 *
 * Unknown items are not remembered: they may become known at any time. A re-embedded item is seen after
 * `catchUp` to a revision that has it, or when its entry ages out.
 */
import { LRUCache } from 'lru-cache';
import { parseVector, type Queryable } from '@nestrec/database';
import { itemVectorsTable } from './item-vectors.js';
import { itemsChangedSince } from './vector-revisions.js';

const MAX_BYTES = 64 * 1024 * 1024;
/** A vector, and what a cell remembers for as long as the vector lives: its contribution, twice as large. */
const BYTES_PER_BYTE = 3;
const MAX_AGE_MS = 60_000;
/** More changes than this at once, and the whole cache goes instead of single entries. */
const MAX_FORGOTTEN = 10_000;

export interface ItemVectorCache {
  /** Vectors (length D) of those items that the version knows. The same object while it is cached: do not write to it. */
  load(
    db: Queryable,
    vectorsVersion: string,
    itemIds: readonly string[],
  ): Promise<Map<string, Float32Array>>;
  /** From now on `load` gives nothing that was replaced up to `revision`. */
  catchUp(db: Queryable, vectorsVersion: string, revision: bigint): Promise<void>;
}

interface VersionCache {
  readonly vectors: LRUCache<string, Float32Array>;
  /** Whatever was replaced up to here is not in it; null where nothing is known. */
  revision: bigint | null;
  /** Rises whenever entries are taken out: what was asked for before must not be put in after. */
  generation: number;
}

export function createItemVectorCache(): ItemVectorCache {
  const byVersion = new Map<string, VersionCache>();
  const cacheOf = (version: string) => {
    let cache = byVersion.get(version);
    if (cache === undefined) {
      // Only the version in use is worth its memory.
      byVersion.clear();
      cache = { vectors: createLru(), revision: null, generation: 0 };
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
        const vector = cache.vectors.get(id);
        if (vector === undefined) missing.push(id);
        else found.set(id, vector);
      }
      if (missing.length === 0) return found;
      const { generation } = cache;
      const { rows } = await db.query<{ item_id: string; embedding: string }>(
        `SELECT item_id, embedding FROM ${itemVectorsTable(version)} WHERE item_id = ANY($1)`,
        [missing],
      );
      for (const row of rows) {
        const vector = parseVector(row.embedding);
        if (cache.generation === generation) cache.vectors.set(row.item_id, vector);
        found.set(row.item_id, vector);
      }
      return found;
    },
    catchUp: async (db, version, revision) => {
      const cache = cacheOf(version);
      if (cache.revision !== null && cache.revision >= revision) return;
      const changed =
        cache.revision === null
          ? null
          : await itemsChangedSince(db, version, cache.revision, MAX_FORGOTTEN);
      cache.generation += 1;
      if (changed === null) cache.vectors.clear();
      else for (const id of changed) cache.vectors.delete(id);
      // Another caller may have come further while this one asked.
      if (cache.revision === null || cache.revision < revision) cache.revision = revision;
    },
  };
}

function createLru(): LRUCache<string, Float32Array> {
  return new LRUCache({
    maxSize: MAX_BYTES,
    sizeCalculation: (vector, id) => BYTES_PER_BYTE * vector.byteLength + 2 * id.length + 200,
    ttl: MAX_AGE_MS,
  });
}
