/**
 * Drops tables of item vectors that nobody will serve: of versions left behind, and of publishes that were
 * killed half-way.
 *
 * Kept are the published version, the one before it, and the newest retired ones up to the number asked
 * for. A publish that runs in another process has a table like a killed one's; it loses it, says so, and
 * can be started again. What is served is never touched.
 */
import type { Database, Queryable } from '@nestrec/database';
import type { Logger } from '@nestrec/runtime';
import { getPublished, listItemVectorTables, listVersions, setIndexDims } from '@nestrec/storage';
import { dropVectorTable, lockPublishing } from './vector-table.js';

/** Versions besides the published one that can be gone back to, where nobody asks for another number. */
export const KEPT_PREVIOUS = 2;

/** Drops what is not kept and not in `alsoKeep`; returns the versions whose tables went. */
export async function cleanUpVectorTables(
  db: Database,
  logger: Logger,
  alsoKeep: readonly string[] = [],
  keepPrevious: number = KEPT_PREVIOUS,
): Promise<string[]> {
  const tables = await listItemVectorTables(db);
  const kept = new Set([...(await versionsToKeep(db, keepPrevious)), ...alsoKeep]);
  const dropped: string[] = [];
  for (const version of tables.filter((candidate) => !kept.has(candidate))) {
    if (await dropUnserved(db, version)) dropped.push(version);
  }
  if (dropped.length > 0) logger.info({ versions: dropped }, 'dropped unused item vectors');
  return dropped;
}

/** Drops a version's table, if there is one, unless the pointer needs it; returns whether it was dropped. */
export async function dropUnserved(db: Database, version: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    await lockPublishing(tx);
    const pointer = await getPublished(tx);
    if (version === pointer?.version || version === pointer?.previousVersion) return false;
    await setIndexDims(tx, version, []);
    await dropVectorTable(tx, version);
    return true;
  });
}

/**
 * The published version and those that can be gone back to: the one before it, always, and the newest
 * retired ones up to `keepPrevious` in all. Empty where nothing is published.
 */
export async function versionsToKeep(
  db: Queryable,
  keepPrevious: number = KEPT_PREVIOUS,
): Promise<string[]> {
  const pointer = await getPublished(db);
  if (pointer === null) return [];
  const previous = pointer.previousVersion === null ? [] : [pointer.previousVersion];
  const retired = (await listVersions(db))
    .filter(({ version, status }) => status === 'retired' && !previous.includes(version))
    .map(({ version }) => version);
  return [
    pointer.version,
    ...[...previous, ...retired].slice(0, Math.max(previous.length, keepPrevious)),
  ];
}
