/** Users to look at: all of them page by page, a repeatable sample, or a few at random without a scan. */
import type { Database, Queryable } from '@nestrec/database';

/** The next users in id order, after `after` ('' to begin), who have interactions, a state, or both. */
export async function nextUsers(db: Queryable, after: string, limit: number): Promise<string[]> {
  // Interactions are skipped through user by user, so that a page costs as much as it has users.
  const { rows } = await db.query<{ user_id: string }>(
    `WITH RECURSIVE walked AS (
       (SELECT user_id::text COLLATE "C" AS user_id FROM interactions
        WHERE user_id > $1 ORDER BY user_id LIMIT 1)
       UNION ALL
       SELECT (SELECT i.user_id::text COLLATE "C" FROM interactions i
               WHERE i.user_id > w.user_id ORDER BY i.user_id LIMIT 1)
       FROM walked w WHERE w.user_id IS NOT NULL
     )
     SELECT user_id FROM (
       (SELECT user_id FROM walked WHERE user_id IS NOT NULL LIMIT $2)
       UNION
       (SELECT user_id::text COLLATE "C" FROM user_states WHERE user_id > $1 ORDER BY user_id LIMIT $2)
     ) users ORDER BY user_id LIMIT $2`,
    [after, limit],
  );
  return rows.map((row) => row.user_id);
}

/**
 * Up to `count` users who have interactions, a state, or both; the same ones for the same seed and users.
 * Reads the indexes of both tables whole.
 */
export async function sampleUsers(db: Database, count: number, seed: number): Promise<string[]> {
  const read = (tx: Queryable) =>
    tx.query<{ user_id: string }>(
      `SELECT user_id FROM (
         SELECT user_id::text COLLATE "C" AS user_id FROM user_states
         UNION SELECT user_id::text COLLATE "C" FROM interactions
       ) users ORDER BY hashtextextended(user_id, $2), user_id LIMIT $1`,
      [count, seed],
    );
  const { rows } = await db.transaction(read, { statementTimeoutMs: 0 });
  return rows.map((row) => row.user_id);
}

/** Rows on a page of 8 KiB are not independent; a few pages more make the sample better for little. */
const PAGES_PER_STATE = 4;
const PAGE_BYTES = 8_192;

/** Up to `count` random users with a state of `version`, from a few random pages of the table. */
export async function sampleStates(
  db: Queryable,
  version: string,
  count: number,
): Promise<string[]> {
  const { rows } = await db.query<{ user_id: string }>(
    `SELECT user_id FROM user_states
     TABLESAMPLE SYSTEM (least(100, 100.0 * $2 / greatest(1, pg_relation_size('user_states') / $3)))
     WHERE model_version = $1 ORDER BY random() LIMIT $4`,
    [version, count * PAGES_PER_STATE, PAGE_BYTES, count],
  );
  return rows.map((row) => row.user_id);
}

/**
 * Up to `count` users from a few random pages of the interactions: those who do much come up more often, as
 * they do in requests. Fewer where the pages hold fewer.
 */
export async function sampleActiveUsers(db: Queryable, count: number): Promise<string[]> {
  const { rows } = await db.query<{ user_id: string }>(
    `SELECT user_id FROM (
       SELECT DISTINCT user_id FROM interactions
       TABLESAMPLE SYSTEM (least(100, 100.0 * $1 / greatest(1, pg_relation_size('interactions') / $2)))
     ) users ORDER BY random() LIMIT $3`,
    [count * PAGES_PER_STATE, PAGE_BYTES, count],
  );
  return rows.map((row) => row.user_id);
}
