/**
 * How often items are interacted with. Counted as a whole at times (import, training, publish) rather than with
 * every event: a counter per item would make all writers queue for the popular ones. Only that there are events of
 * an item is noted with its first ones, so that every item of a stored event is known: here, or by its vector.
 */
import type { Queryable } from '@nestrec/database';

export interface ItemPopularity {
  readonly itemId: string;
  readonly interactions: number;
}

/** Counts anew; one statement, so readers see the old counts or the new ones. */
export async function refreshPopularity(db: Queryable): Promise<void> {
  await db.query(
    `WITH counted AS (SELECT item_id, count(*) AS interactions FROM interactions GROUP BY item_id),
     gone AS (DELETE FROM item_popularity p
              WHERE NOT EXISTS (SELECT 1 FROM counted c WHERE c.item_id = p.item_id))
     INSERT INTO item_popularity (item_id, interactions)
     SELECT item_id, interactions FROM counted ORDER BY item_id
     ON CONFLICT (item_id) DO UPDATE SET interactions = excluded.interactions
       WHERE item_popularity.interactions <> excluded.interactions`,
  );
}

/** Makes items known of which events are stored in the same transaction; until they are counted, each has one. */
export async function noteNewItems(tx: Queryable, itemIds: readonly string[]): Promise<void> {
  if (itemIds.length === 0) return;
  await tx.query(
    // In one order for all writers, so that none waits for another that waits for it.
    `INSERT INTO item_popularity (item_id, interactions)
     SELECT DISTINCT n.item_id, 1 FROM unnest($1::text[]) AS n (item_id)
     WHERE NOT EXISTS (SELECT 1 FROM item_popularity p WHERE p.item_id = n.item_id)
     ORDER BY n.item_id
     ON CONFLICT (item_id) DO NOTHING`,
    [itemIds],
  );
}

/** The most popular items that are not marked unavailable, ties by id. */
export async function topItems(
  db: Queryable,
  limit: number,
  exclude: readonly string[] = [],
): Promise<ItemPopularity[]> {
  const { rows } = await db.query<{ item_id: string; interactions: bigint }>(
    `SELECT p.item_id, p.interactions FROM item_popularity p
     LEFT JOIN items i ON i.item_id = p.item_id
     WHERE i.available IS NOT FALSE AND p.item_id <> ALL($2::text[])
     ORDER BY p.interactions DESC, p.item_id LIMIT $1`,
    [limit, exclude],
  );
  return rows.map((row) => ({ itemId: row.item_id, interactions: Number(row.interactions) }));
}
