/**
 * The interactions: the truth that states, training and popularity follow from. A user's events are
 * ordered by (time, event id) everywhere.
 */
import type { Queryable } from '@nestrec/database';

export interface Interaction {
  readonly eventId: string;
  readonly userId: string;
  readonly itemId: string;
  readonly type: string;
  /** Epoch milliseconds. */
  readonly timestampMs: number;
  readonly value: number | null;
}

export interface InsertOutcome {
  /** Event ids that were stored now. */
  readonly inserted: ReadonlySet<string>;
  /** Event ids that stood there already, or stood earlier in the batch, with the same body. */
  readonly duplicates: ReadonlySet<string>;
  /** Events whose id stands for another body; the stored one is kept. */
  readonly conflicts: readonly Interaction[];
}

interface InteractionRow extends Record<string, unknown> {
  event_id: string;
  user_id: string;
  item_id: string;
  type: string;
  ts: Date;
  value: number | null;
}

const toInteraction = (row: InteractionRow): Interaction => ({
  eventId: row.event_id,
  userId: row.user_id,
  itemId: row.item_id,
  type: row.type,
  timestampMs: row.ts.getTime(),
  value: row.value,
});

const sameBody = (a: Interaction, b: Interaction) =>
  a.userId === b.userId &&
  a.itemId === b.itemId &&
  a.type === b.type &&
  a.timestampMs === b.timestampMs &&
  a.value === b.value;

/**
 * Stores a batch, each event id once. Safe to repeat and safe beside other writers: of two bodies with one
 * id the first stays.
 */
export async function insertInteractions(
  db: Queryable,
  batch: readonly Interaction[],
): Promise<InsertOutcome> {
  const first = new Map<string, Interaction>();
  for (const event of batch) if (!first.has(event.eventId)) first.set(event.eventId, event);
  const inserted = await insertNew(db, [...first.values()]);
  const stored = await readInteractions(
    db,
    [...first.keys()].filter((id) => !inserted.has(id)),
  );
  const kept = new Map([...first].filter(([id]) => inserted.has(id)));
  for (const event of stored) kept.set(event.eventId, event);

  const duplicates = new Set<string>();
  const conflicts: Interaction[] = [];
  for (const event of batch) {
    if (inserted.has(event.eventId) && first.get(event.eventId) === event) continue;
    const standing = kept.get(event.eventId);
    // A row that vanished between the two statements was erased: nothing to conflict with.
    if (standing === undefined || sameBody(standing, event)) duplicates.add(event.eventId);
    else conflicts.push(event);
  }
  return { inserted, duplicates, conflicts };
}

async function insertNew(db: Queryable, events: readonly Interaction[]): Promise<Set<string>> {
  if (events.length === 0) return new Set();
  // Sorted, so that two writers with common ids wait for one another in one order and never deadlock.
  const sorted = [...events].sort((a, b) =>
    a.eventId < b.eventId ? -1 : a.eventId > b.eventId ? 1 : 0,
  );
  const { rows } = await db.query<{ event_id: string }>(
    `INSERT INTO interactions (event_id, user_id, item_id, type, ts, value)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::float8[])
     ON CONFLICT (event_id) DO NOTHING
     RETURNING event_id`,
    [
      sorted.map((e) => e.eventId),
      sorted.map((e) => e.userId),
      sorted.map((e) => e.itemId),
      sorted.map((e) => e.type),
      sorted.map((e) => new Date(e.timestampMs)),
      sorted.map((e) => e.value),
    ],
  );
  return new Set(rows.map((row) => row.event_id));
}

/** The stored events among `eventIds`, in no particular order. */
export async function readInteractions(
  db: Queryable,
  eventIds: readonly string[],
): Promise<Interaction[]> {
  if (eventIds.length === 0) return [];
  const { rows } = await db.query<InteractionRow>(
    `SELECT event_id, user_id, item_id, type, ts, value FROM interactions WHERE event_id = ANY($1)`,
    [eventIds],
  );
  return rows.map(toInteraction);
}

/** The newest `limit` events of a user, oldest first. */
export async function recentInteractions(
  db: Queryable,
  userId: string,
  limit: number,
): Promise<Interaction[]> {
  const { rows } = await db.query<InteractionRow>(
    `SELECT event_id, user_id, item_id, type, ts, value FROM interactions
     WHERE user_id = $1 ORDER BY ts DESC, event_id DESC LIMIT $2`,
    [userId, limit],
  );
  return rows.reverse().map(toInteraction);
}

/** The newest `limit` events of each user, oldest first; users without events are absent. */
export async function recentInteractionsOfMany(
  db: Queryable,
  userIds: readonly string[],
  limit: number,
): Promise<Map<string, Interaction[]>> {
  const { rows } = await db.query<InteractionRow>(
    `SELECT i.event_id, i.user_id, i.item_id, i.type, i.ts, i.value
     FROM (SELECT DISTINCT unnest($1::text[]) COLLATE "C" AS user_id) u
     CROSS JOIN LATERAL (
       SELECT * FROM interactions x WHERE x.user_id = u.user_id
       ORDER BY x.ts DESC, x.event_id DESC LIMIT $2
     ) i
     ORDER BY i.user_id, i.ts, i.event_id`,
    [userIds, limit],
  );
  const byUser = new Map<string, Interaction[]>();
  for (const row of rows) {
    const event = toInteraction(row);
    const events = byUser.get(event.userId);
    if (events) events.push(event);
    else byUser.set(event.userId, [event]);
  }
  return byUser;
}

/** Every item the user ever interacted with, without repeats, in id order. */
export async function seenItems(db: Queryable, userId: string): Promise<string[]> {
  const { rows } = await db.query<{ item_id: string }>(
    'SELECT DISTINCT item_id FROM interactions WHERE user_id = $1 ORDER BY item_id',
    [userId],
  );
  return rows.map((row) => row.item_id);
}

export interface StreamOptions {
  /** Rows per batch; one batch is held in memory. */
  readonly batchSize?: number;
  /** Only events at or after, and before, these epoch milliseconds. */
  readonly fromMs?: number;
  readonly untilMs?: number;
}

/**
 * All interactions ordered by user, time, event id (ids bytewise), in batches. Pages by key, not by cursor:
 * no transaction stays open, and a broken connection costs one batch. Events stored meanwhile appear if
 * their place in the order has not been passed.
 */
export async function* streamInteractions(
  db: Queryable,
  options: StreamOptions = {},
): AsyncGenerator<Interaction[]> {
  const batchSize = options.batchSize ?? 10_000;
  const from = options.fromMs === undefined ? null : new Date(options.fromMs);
  const until = options.untilMs === undefined ? null : new Date(options.untilMs);
  let after: [string, Date, string] = ['', new Date(0), ''];
  for (;;) {
    const { rows } = await db.query<InteractionRow>(
      `SELECT event_id, user_id, item_id, type, ts, value FROM interactions
       WHERE (user_id, ts, event_id) > ($1, $2, $3)
         AND ($4::timestamptz IS NULL OR ts >= $4) AND ($5::timestamptz IS NULL OR ts < $5)
       ORDER BY user_id, ts, event_id LIMIT $6`,
      [...after, from, until, batchSize],
    );
    if (rows.length > 0) yield rows.map(toInteraction);
    if (rows.length < batchSize) return;
    const last = rows.at(-1)!;
    after = [last.user_id, last.ts, last.event_id];
  }
}

/** Time of the newest event, epoch milliseconds; null where there is none. Reads the whole table. */
export async function newestEventMs(db: Queryable): Promise<number | null> {
  const { rows } = await db.query<{ newest: Date | null }>(
    'SELECT max(ts) AS newest FROM interactions',
  );
  return rows[0]?.newest?.getTime() ?? null;
}

/**
 * Those of `itemIds` that nothing speaks of any more: not in the catalogue, not in the counts of popularity,
 * and without an event at or after `sinceMs`.
 */
export async function untracedItems(
  db: Queryable,
  itemIds: readonly string[],
  sinceMs: number | null,
): Promise<Set<string>> {
  const { rows: candidates } = await db.query<{ item_id: string }>(
    `SELECT a.item_id FROM unnest($1::text[]) AS a (item_id)
     WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.item_id = a.item_id)
       AND NOT EXISTS (SELECT 1 FROM item_popularity p WHERE p.item_id = a.item_id)`,
    [itemIds],
  );
  const untraced = new Set(candidates.map((row) => row.item_id));
  if (untraced.size === 0) return untraced;
  const { rows } = await db.query<{ item_id: string }>(
    `SELECT DISTINCT item_id FROM interactions
     WHERE item_id = ANY($1) AND ($2::timestamptz IS NULL OR ts >= $2)`,
    [[...untraced], sinceMs === null ? null : new Date(sinceMs)],
  );
  for (const { item_id: itemId } of rows) untraced.delete(itemId);
  return untraced;
}

export interface InteractionCounts {
  readonly interactions: bigint;
  readonly users: bigint;
  readonly items: bigint;
}

/** How much is stored; reads the whole table. */
export async function countInteractions(db: Queryable): Promise<InteractionCounts> {
  const { rows } = await db.query<{ interactions: bigint; users: bigint; items: bigint }>(
    `SELECT count(*) AS interactions, count(DISTINCT user_id) AS users, count(DISTINCT item_id) AS items
     FROM interactions`,
  );
  return rows[0]!;
}

/** Removes events by id; returns those that were there. */
export async function deleteInteractions(
  db: Queryable,
  eventIds: readonly string[],
): Promise<Interaction[]> {
  const { rows } = await db.query<InteractionRow>(
    `DELETE FROM interactions WHERE event_id = ANY($1)
     RETURNING event_id, user_id, item_id, type, ts, value`,
    [eventIds],
  );
  return rows.map(toInteraction);
}
