/**
 * Single items in the versions that are served or can be gone back to: a new item is recommendable as
 * soon as its row is written, with no interaction and no training.
 *
 * The caller has written the catalogue before; a publish that runs meanwhile reads it there.
 */
import { sqlState, type Database } from '@nestrec/database';
import { NestrecError } from '@nestrec/errors';
import type { Artifact } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import { getPublished, getStoredItems, listItemVectorTables, listVersions } from '@nestrec/storage';
import { createItemEmbedder, type ItemEmbedder } from './item-embedder.js';
import { markRemoved, upsertVectors } from './vector-table.js';

/** What embeds items for a version; kept by the caller, because artifacts are slow to read. */
export type EmbedderSource = (version: string, path: string) => Promise<ItemEmbedder>;

/**
 * Embedders of the versions asked for last, made from artifacts when first needed.
 * @param capacity at least as many as versions are live, for items go into each of them in turn: what is published,
 * what is kept besides, and during a publish one more
 */
export function createEmbedderSource(
  loadArtifact: (version: string, path: string) => Promise<Artifact>,
  capacity: number,
): EmbedderSource {
  const kept = new Map<string, Promise<ItemEmbedder>>();
  return (version, path) => {
    const known = kept.get(version);
    const embedder = known ?? loadArtifact(version, path).then(createItemEmbedder);
    kept.delete(version);
    kept.set(version, embedder);
    embedder.catch(() => kept.delete(version));
    if (kept.size > capacity) kept.delete(kept.keys().next().value!);
    return embedder;
  };
}

/**
 * Embeds an item in every live version, as the catalogue has it: what the caller wrote there, or what somebody
 * wrote after that.
 * @returns the versions in which it is recommendable now, the published one first
 * @throws InvalidRequest when its vectors do not fit the published model, and any error of the published
 * version; older versions that cannot take it are logged and left out
 */
export async function embedItemInLiveVersions(
  db: Database,
  itemId: string,
  embedders: EmbedderSource,
  logger: Logger,
): Promise<string[]> {
  const embedded: string[] = [];
  /** Tables that versions share are written once. */
  const written = new Set<string>();
  for (const { version, path, published, vectorsVersion } of await liveVersions(db)) {
    if (written.has(vectorsVersion)) {
      embedded.push(version);
      continue;
    }
    try {
      const embedder = await embedders(version, path);
      const stored = (await getStoredItems(db, [itemId])).get(itemId);
      const row = stored === undefined ? null : embedder.embedCatalogue(stored.item);
      if (row === null) continue;
      await upsertVectors(db, vectorsVersion, [{ ...row, writtenAt: stored!.writtenAt }]);
      written.add(vectorsVersion);
      embedded.push(version);
    } catch (error) {
      // A version that was dropped meanwhile is not live any more.
      if (published && sqlState(error) !== UNDEFINED_TABLE) throw error;
      logger.warn(
        { version, item_id: itemId, reason: reasonOf(error) },
        'item not embedded in a version',
      );
    }
  }
  return embedded;
}

/**
 * Takes an item out of every live version that the caller has taken out of the catalogue; returns the versions that
 * showed it until now.
 */
export async function removeItemFromLiveVersions(db: Database, itemId: string): Promise<string[]> {
  const removed: string[] = [];
  const marked = new Set<string>();
  for (const { version, vectorsVersion } of await liveVersions(db)) {
    try {
      if (await markRemoved(db, vectorsVersion, itemId)) marked.add(vectorsVersion);
      if (marked.has(vectorsVersion)) removed.push(version);
    } catch (error) {
      if (sqlState(error) !== UNDEFINED_TABLE) throw error;
    }
  }
  return removed;
}

/** SQLSTATE: the version was dropped meanwhile, so it is not live any more. */
export const UNDEFINED_TABLE = '42P01';

export interface LiveVersion {
  readonly version: string;
  readonly path: string;
  readonly published: boolean;
  /** Whose table holds its vectors. */
  readonly vectorsVersion: string;
}

/** Versions with vectors that are served or were, the published one first. */
export async function liveVersions(db: Database): Promise<LiveVersion[]> {
  const pointer = await getPublished(db);
  if (pointer === null) return [];
  const tables = new Set(await listItemVectorTables(db));
  return (await listVersions(db))
    .filter(({ vectorsVersion, status }) => status !== 'candidate' && tables.has(vectorsVersion))
    .map(({ version, path, vectorsVersion }) => {
      return { version, path, published: version === pointer.version, vectorsVersion };
    })
    .sort((a, b) => Number(b.published) - Number(a.published));
}

function reasonOf(error: unknown): string {
  return error instanceof NestrecError ? error.message : String(error);
}
