/** Up to when a reading of the catalogue is complete, for readers that keep no time per item (trainings). */
import type { Queryable } from '@nestrec/database';

/**
 * A time before which every write of an item is seen by whoever begins to read after this returned: now, or the
 * beginning of the oldest transaction that is writing items, whose forms may have any time from then on and show
 * when it commits. Where another role hides the beginning of its own: five minutes ago, and none of ours lasts that
 * long (every statement and every pause in them has a limit of seconds).
 *
 * In the snapshot that is read it would come too late: a writer that ended just before is in neither.
 * @returns ISO 8601 with microseconds
 */
export async function catalogueAsOf(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ as_of: string }>(
    // The beginning of this statement, not the clock: it comes before the look at the locks.
    `SELECT to_char(least(statement_timestamp(), min(coalesce(
         a.xact_start, statement_timestamp() - interval '5 minutes'))) AT TIME ZONE 'UTC',
       'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS as_of
     FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock'
       AND l.relation = 'items'::regclass
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  return rows[0]!.as_of;
}
