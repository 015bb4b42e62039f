/**
 * How far each partition of the event log has been applied. The row is locked, compared and moved in the
 * transaction that holds the effects: that is what makes the effect exactly once.
 */
import type { Queryable } from '@nestrec/database';

export interface Position {
  readonly topic: string;
  readonly partition: number;
  /** The first offset that has not been applied. */
  readonly nextOffset: bigint;
  /** Of the last applied record; null before the first. */
  readonly fingerprint: string | null;
}

interface PositionRow extends Record<string, unknown> {
  partition: number;
  next_offset: bigint;
  fingerprint: string | null;
}

const toPosition = (topic: string, row: PositionRow): Position => ({
  topic,
  partition: row.partition,
  nextOffset: row.next_offset,
  fingerprint: row.fingerprint,
});

export async function getPositions(db: Queryable, topic: string): Promise<Map<number, Position>> {
  const { rows } = await db.query<PositionRow>(
    `SELECT partition, next_offset, fingerprint FROM consumer_positions WHERE topic = $1`,
    [topic],
  );
  return new Map(rows.map((row) => [row.partition, toPosition(topic, row)]));
}

/** The first offset of each partition that is not applied yet. */
export async function getNextOffsets(db: Queryable, topic: string): Promise<Map<number, bigint>> {
  const positions = await getPositions(db, topic);
  return new Map([...positions].map(([partition, { nextOffset }]) => [partition, nextOffset]));
}

/** Locks a partition's position until the transaction ends, making it (at offset 0) where absent. */
export async function lockPosition(
  tx: Queryable,
  topic: string,
  partition: number,
): Promise<Position> {
  await tx.query(
    `INSERT INTO consumer_positions (topic, partition, next_offset) VALUES ($1, $2, 0)
     ON CONFLICT (topic, partition) DO NOTHING`,
    [topic, partition],
  );
  const { rows } = await tx.query<PositionRow>(
    `SELECT partition, next_offset, fingerprint FROM consumer_positions
     WHERE topic = $1 AND partition = $2 FOR UPDATE`,
    [topic, partition],
  );
  return toPosition(topic, rows[0]!);
}

/** Moves a position; only under `lockPosition`, in the same transaction. */
export async function savePosition(tx: Queryable, position: Position): Promise<void> {
  await tx.query(
    `INSERT INTO consumer_positions (topic, partition, next_offset, fingerprint) VALUES ($1, $2, $3, $4)
     ON CONFLICT (topic, partition) DO UPDATE SET
       next_offset = excluded.next_offset, fingerprint = excluded.fingerprint, updated_at = now()`,
    [position.topic, position.partition, position.nextOffset, position.fingerprint],
  );
}

/**
 * How many partitions the topic had when it was first read: now, where these are the first heard of. Every
 * partition gets its position then, at the oldest record that it holds: what goes from it later without
 * having been applied is a gap, also where no record of it was ever seen.
 *
 * @param oldest offset of the oldest record, by partition
 */
export async function pinPartitions(
  db: Queryable,
  topic: string,
  oldest: ReadonlyMap<number, bigint>,
): Promise<{ partitions: number; isFirst: boolean }> {
  for (;;) {
    const { rows } = await db.query<{ partitions: number | null; first: boolean }>(
      `WITH pinned AS (
         INSERT INTO log_topics (topic, partitions) VALUES ($1, $2::int)
         ON CONFLICT (topic) DO NOTHING RETURNING partitions
       ), known AS (
         SELECT partitions FROM pinned UNION ALL SELECT partitions FROM log_topics WHERE topic = $1
       ), positioned AS (
         INSERT INTO consumer_positions (topic, partition, next_offset)
         SELECT $1, p.partition, p.next_offset FROM unnest($3::int[], $4::int8[]) AS p (partition, next_offset)
         WHERE (SELECT partitions FROM known) = $2::int
         ON CONFLICT (topic, partition) DO NOTHING
       )
       SELECT (SELECT partitions FROM known) AS partitions, EXISTS (SELECT FROM pinned) AS first`,
      [topic, oldest.size, [...oldest.keys()], [...oldest.values()]],
    );
    const { partitions, first } = rows[0]!;
    // Null: another process pinned it at this moment, and is seen by the next look.
    if (partitions !== null) return { partitions, isFirst: first };
  }
}

/** How many partitions the topic had when it was first read; null before that. */
export async function getPinnedPartitions(db: Queryable, topic: string): Promise<number | null> {
  const { rows } = await db.query<{ partitions: number }>(
    'SELECT partitions FROM log_topics WHERE topic = $1',
    [topic],
  );
  return rows[0]?.partitions ?? null;
}
