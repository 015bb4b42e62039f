/** Reads that belong together, all from one moment of the database. */
import type { Database, Queryable } from '@nestrec/database';

/** Runs `read` on one snapshot: what others commit meanwhile is not seen. It may not write. */
export function readInSnapshot<T>(db: Database, read: (tx: Queryable) => Promise<T>): Promise<T> {
  return db.transaction(async (tx) => {
    await tx.execute('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    return read(tx);
  });
}
