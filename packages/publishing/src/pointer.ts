/**
 * Moves the pointer to a version whose table is known to be whole, and back.
 *
 * A reader sees the old version or the new one, never anything between: the move is one statement, and
 * it compares what it replaces.
 */
import type { Database, Queryable } from '@nestrec/database';
import {
  excerpt,
  ModelNotFound,
  NoPublishedModel,
  PublishConflict,
  PublishRefused,
} from '@nestrec/errors';
import {
  getPublished,
  getVersion,
  listItemVectorTables,
  listVersions,
  swapPublished,
  vectorsVersionOf,
  type PublishedPointer,
} from '@nestrec/storage';
import { silentLogger } from '@nestrec/runtime';
import type { CatalogueChanges } from './catalogue-changes.js';
import { catchUp, type CatchUpOptions } from './catch-up.js';
import { findVectorTable, lockPublishing } from './vector-table.js';

/**
 * Points to `version`, whose checked table (its own or a shared one) has the given identity, if `expected` is
 * still published.
 * @param guard has the last word, in the transaction that moves the pointer: what it throws, or undoes, holds
 * @throws PublishConflict when another publisher was faster, with the pointer or with the table
 */
export async function movePointer(
  db: Database,
  version: string,
  expected: string | null,
  identity: number,
  guard?: (tx: Queryable) => Promise<void>,
): Promise<PublishedPointer> {
  return db.transaction(async (tx) => {
    await guard?.(tx);
    await lockPublishing(tx);
    const vectorsVersion = await vectorsVersionOf(tx, version);
    if ((await findVectorTable(tx, vectorsVersion))?.identity !== identity) {
      throw new PublishConflict({
        detail: `the vectors of ${version} were dropped or made anew by another publisher meanwhile; publish again`,
      });
    }
    const pointer = await swapPublished(tx, version, expected);
    if (pointer !== null) return pointer;
    const now = await getPublished(tx);
    throw new PublishConflict({
      detail: `wanted to replace ${expected ?? 'nothing'}, but ${now?.version ?? 'nothing'} is published by now; publish again`,
    });
  });
}

export interface RollbackOptions extends Partial<CatchUpOptions> {
  /** Roll back only if this version is published: two rollbacks at once then go back one step, not two. */
  readonly from?: string;
  /** What to serve; default: the version before the published one. */
  readonly to?: string;
}

export interface RollbackResult {
  /** What is served from now on. */
  readonly version: string;
  /** What was served; a second rollback goes back to it. */
  readonly rolledBack: string;
  /**
   * Ends when items that the version lacked, or had in an older form, are embedded in it: at once where there
   * are none. Null: that failed and is logged. Never rejects.
   */
  readonly caughtUp: Promise<CatalogueChanges | null>;
}

/**
 * Serves an earlier version again, as long as its vectors are kept. Nothing is computed before the pointer
 * has moved, so it takes effect as fast as readers look at it.
 * @throws NoPublishedModel, ModelNotFound, PublishRefused (with what can be gone back to), PublishConflict where
 *   another moved the pointer meanwhile
 */
export async function rollback(
  db: Database,
  options: RollbackOptions = {},
): Promise<RollbackResult> {
  const pointer = await getPublished(db);
  if (pointer === null) {
    throw new NoPublishedModel({ detail: 'there is nothing to roll back; publish a model first' });
  }
  const served = pointer.version;
  const tables = new Set(await listItemVectorTables(db));
  const kept = (await listVersions(db))
    .filter(({ version, vectorsVersion, status }) => {
      return version !== served && status !== 'candidate' && tables.has(vectorsVersion);
    })
    .map(({ version }) => version);
  const choice = kept.length > 0 ? `kept are ${kept.join(', ')}` : 'no other version is kept';
  const refuse = (fault: string) => new PublishRefused({ detail: `${fault}; ${choice}` });
  if (options.from !== undefined && options.from !== served) {
    throw refuse(`wanted to roll back ${excerpt(options.from)}, but ${served} is published`);
  }
  const target = options.to ?? pointer.previousVersion;
  if (target === null) {
    throw refuse(`${served} is the first version published here, there is none before it`);
  }
  if (target === served) throw refuse(`${served} is the published version already`);
  const known = await getVersion(db, target);
  if (known === null) {
    throw new ModelNotFound({ detail: `version ${target} is not known here; ${choice}` });
  }
  // It may have whole vectors, where its publish ended just before it was served; nobody has let it pass yet.
  if (known.status === 'candidate') {
    throw refuse(`version ${target} was never served: publish it instead`);
  }
  const table = await findVectorTable(db, known.vectorsVersion);
  if (table === null || !table.whole) {
    throw refuse(`version ${target} has no finished vectors here: publish it instead`);
  }
  await movePointer(db, target, served, table.identity);
  const caughtUp = catchUp(db, known, served, { logger: silentLogger(), ...options });
  return { version: target, rolledBack: served, caughtUp };
}
