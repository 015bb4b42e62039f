/**
 * Who forwards the dead letters of a topic: one process at a time, by a lease that ends by itself. No lock
 * and no transaction is held while the holder talks to the broker; time is the database's own.
 */
import type { Queryable } from '@nestrec/database';

/** Takes or prolongs the lease for `forMs`; false while another holds it. */
export async function takeDeadLetterLease(
  db: Queryable,
  lease: { topic: string; holder: string; forMs: number },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO dead_letter_leases AS l (topic, holder, until)
     VALUES ($1, $2, clock_timestamp() + $3::float8 * interval '1 millisecond')
     ON CONFLICT (topic) DO UPDATE SET holder = excluded.holder, until = excluded.until
     WHERE l.holder = excluded.holder OR l.until <= clock_timestamp()`,
    [lease.topic, lease.holder, lease.forMs],
  );
  return rowCount === 1;
}

/** Gives the lease up, where `holder` has it. */
export async function releaseDeadLetterLease(
  db: Queryable,
  lease: { topic: string; holder: string },
): Promise<void> {
  await db.query('DELETE FROM dead_letter_leases WHERE topic = $1 AND holder = $2', [
    lease.topic,
    lease.holder,
  ]);
}
