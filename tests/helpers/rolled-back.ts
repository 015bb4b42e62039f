/** A rollback to its end: what it embeds after the pointer has moved would else write beside the next test's wipe. */
import type { Database } from '@nestrec/database';
import { rollback, type RollbackOptions } from '@nestrec/publishing';

/** Rolls back, and waits until the version has caught up with the catalogue. */
export async function rolledBack(
  db: Database,
  options?: RollbackOptions,
): Promise<{ version: string; rolledBack: string }> {
  const { caughtUp, ...result } = await rollback(db, options);
  await caughtUp;
  return result;
}
