/**
 * Drops indexes of a vector table that no version is searched by any more: of tiers that changed, of an older
 * form, of builds that died. They would cost memory, and time at each write.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@nestrec/database';
import type { Logger } from '@nestrec/runtime';
import { itemVectorsTable, listVersions } from '@nestrec/storage';
import { dropIndex } from './prefix-indexes.js';

/** Processes take new plans after they heard of them (0.5 s) and warmed up (5 s); until then they use the old ones. */
const TAKEN_OVER_MS = 10_000;
/** Reading so few items takes milliseconds, with an index or without. */
const FEW_ROWS = 10_000;

export interface UnusedOptions {
  readonly version: string;
  /** Of the table. */
  readonly rows: number;
  /** Whether processes may be searching by the plans before. */
  readonly served: boolean;
  /** Asked before each: without the claim another may be building what looks unused. */
  readonly isClaimed: () => boolean;
}

/** Call it when the plans in force are written down. What cannot be dropped now goes with the next publish. */
export async function dropUnusedIndexes(
  db: Database,
  logger: Logger,
  { version, rows, served, isClaimed }: UnusedOptions,
): Promise<void> {
  try {
    if (!isClaimed()) return;
    const unused = await unusedIndexes(db, version);
    if (unused.length === 0) return;
    if (served && rows > FEW_ROWS) await sleep(TAKEN_OVER_MS);
    const dropped: string[] = [];
    for (const name of unused) {
      if (!isClaimed()) break;
      await dropIndex(db, name);
      dropped.push(name);
    }
    logger.info({ version, indexes: dropped }, 'dropped indexes that no plan uses');
  } catch (error) {
    logger.warn({ err: error, version }, 'unused indexes stay until the next publish');
  }
}

async function unusedIndexes(db: Database, version: string): Promise<string[]> {
  const used = new Set(
    (await listVersions(db))
      .filter(({ vectorsVersion }) => vectorsVersion === version)
      .flatMap(({ indexes }) => indexes.map(({ name }) => name)),
  );
  const { rows } = await db.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_index i
     JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
     WHERE i.indrelid = to_regclass($1) AND a.amname = 'hnsw' ORDER BY c.relname`,
    [itemVectorsTable(version)],
  );
  const ours = `iv_${version}_`;
  return (
    rows
      .map(({ name }) => name)
      // An operator's own index has another name, and stays.
      .filter((name) => name.startsWith(ours) && /^\d+[hbl]*$/.test(name.slice(ours.length)))
      .filter((name) => !used.has(name))
  );
}
