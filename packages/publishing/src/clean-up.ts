/**
 * Drops tables of item vectors that nobody will serve: of versions left behind, and of publishes that were
 * killed half-way.
 *
 * Kept are the tables of the published version, of the one before it, and of the newest retired ones up to
 * the number asked for; a table that several versions share stays as long as one of them is kept. What is
 * served is never touched. A publish at work has a table like a killed one's, so only who holds the claim to
 * publish (publishing-claim.ts) may clean up.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { sqlState, type Database, type Queryable } from '@nestrec/database';
import { PublishConflict } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import {
  getPublished,
  listItemVectorTables,
  listVersions,
  NO_RETRIEVAL_FACTS,
  setRetrievalFacts,
  vectorsVersionOf,
  type ModelVersion,
} from '@nestrec/storage';
import { dropVectorTable, lockPublishing } from './vector-table.js';

/** Versions besides the published one that can be gone back to, where nobody asks for another number. */
export const KEPT_PREVIOUS = 2;

export interface CleanUpOptions {
  /** Whose tables stay besides. */
  readonly alsoKeep?: readonly string[] | undefined;
  readonly keepPrevious?: number | undefined;
  /** Asked before each: without the claim what looks killed may be another publisher's at work. */
  readonly isClaimed?: () => boolean;
}

/** Drops tables that are not kept; returns the versions whose tables went. */
export async function cleanUpVectorTables(
  db: Database,
  logger: Logger,
  { alsoKeep = [], keepPrevious = KEPT_PREVIOUS, isClaimed = () => true }: CleanUpOptions = {},
): Promise<string[]> {
  const tables = await listItemVectorTables(db);
  const kept = new Set([...(await tablesToKeep(db, keepPrevious)), ...alsoKeep]);
  const dropped: string[] = [];
  for (const version of tables.filter((candidate) => !kept.has(candidate))) {
    if (!isClaimed()) break;
    if (await dropUnserved(db, version)) dropped.push(version);
  }
  if (dropped.length > 0) logger.info({ versions: dropped }, 'dropped unused item vectors');
  return dropped;
}

/**
 * Drops the table that a version has, if it has one, unless the pointer needs it; returns whether it was dropped.
 * @param lockWaitMs how long it waits for those who use the table. Default: as any statement
 */
export async function dropUnserved(
  db: Database,
  version: string,
  lockWaitMs?: number,
): Promise<boolean> {
  return db.transaction(async (tx) => {
    await lockPublishing(tx);
    if (lockWaitMs !== undefined) {
      await tx.execute(`SET LOCAL lock_timeout = ${Math.trunc(lockWaitMs)}`);
    }
    const pointer = await getPublished(tx);
    for (const needed of [pointer?.version, pointer?.previousVersion]) {
      if (needed && (await vectorsVersionOf(tx, needed)) === version) return false;
    }
    await setRetrievalFacts(tx, version, NO_RETRIEVAL_FACTS);
    await dropVectorTable(tx, version);
    return true;
  });
}

/** One try holds the lock of all who move the pointer, so it is short; between two tries they pass. */
const LEFTOVER_LOCK_MS = 500;
const BETWEEN_TRIES_MS = 500;
const LEFTOVER_WAIT_MS = 60_000;
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Drops what a killed publish of the version left. The database may still be at work for that one, at an index for
 * instance, until it notices that its client is gone; a vacuum gives way by itself.
 * @throws PublishConflict where the table is in use for longer
 */
export async function dropLeftover(
  db: Database,
  version: string,
  waitMs = LEFTOVER_WAIT_MS,
): Promise<void> {
  const giveUpAtMs = performance.now() + waitMs;
  for (;;) {
    try {
      await dropUnserved(db, version, LEFTOVER_LOCK_MS);
      return;
    } catch (error) {
      if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
      if (performance.now() >= giveUpAtMs) throw stillInUse(version, waitMs, error);
    }
    await sleep(BETWEEN_TRIES_MS);
  }
}

const stillInUse = (version: string, waitMs: number, cause: unknown) =>
  new PublishConflict({
    detail:
      `the vectors that an earlier publish of ${version} left are in use for more than ${waitMs / 1_000} s; ` +
      'publish again when what uses them has ended (pg_stat_activity shows it)',
    cause,
  });

/**
 * The published version and those that can be gone back to: the one before it, always, and the newest
 * retired ones up to `keepPrevious` in all. Empty where nothing is published.
 */
export async function versionsToKeep(
  db: Queryable,
  keepPrevious: number = KEPT_PREVIOUS,
): Promise<ModelVersion[]> {
  const pointer = await getPublished(db);
  if (pointer === null) return [];
  const versions = await listVersions(db);
  const known = new Map(versions.map((one) => [one.version, one]));
  const previous = pointer.previousVersion === null ? [] : [pointer.previousVersion];
  const retired = versions
    .filter(({ version, status }) => status === 'retired' && !previous.includes(version))
    .map(({ version }) => version);
  const kept = [
    pointer.version,
    ...[...previous, ...retired].slice(0, Math.max(previous.length, keepPrevious)),
  ];
  return kept.map((version) => known.get(version)!);
}

/** Those that have the tables of versions that can be served. */
async function tablesToKeep(db: Queryable, keepPrevious: number): Promise<string[]> {
  return (await versionsToKeep(db, keepPrevious)).map(({ vectorsVersion }) => vectorsVersion);
}
