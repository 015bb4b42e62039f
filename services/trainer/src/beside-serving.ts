/** Keeps a training from taking the machine away from those who serve on it. */
import { availableParallelism, getPriority, setPriority } from 'node:os';
import type { Queryable } from '@nestrec/database';

/** How far training steps back (nice) unless told otherwise: others get about ten times its share of a core. */
export const DEFAULT_NICE = 10;

/**
 * Lets this process step back behind others, for good: only for processes that train and do nothing else. On
 * Linux it is the calling thread's own and that of those it makes from then on, so call it first of all.
 */
export function lowerPriority(nice = DEFAULT_NICE): void {
  if (getPriority() < nice) setPriority(nice);
}

/**
 * Threads to train with: one core less than there are where API or ingest processes of this database run on
 * the same machine, as far as the database can tell (their connections come from the same address). Null: no
 * reason for fewer.
 */
export async function workersBesideServing(db: Queryable): Promise<number | null> {
  const { rows } = await db.query<{ serving: boolean }>(
    `SELECT EXISTS (
       SELECT 1 FROM pg_stat_activity
       WHERE datname = current_database() AND application_name IN ('nestrec-api', 'nestrec-ingest')
         AND client_addr IS NOT DISTINCT FROM inet_client_addr()) AS serving`,
  );
  return rows[0]!.serving ? Math.max(1, availableParallelism() - 1) : null;
}
