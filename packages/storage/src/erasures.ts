/**
 * Erasures: tombstones that keep erased history from coming back, the removal itself, and receipts.
 *
 * Tombstones and receipts hold SHA-256 alone, each kind under a prefix of its own. Whoever writes
 * interactions asks the tombstones first, in the same transaction. Nothing here knows the log: that one
 * partition's erasures and events come in order is up to the caller.
 */
import { createHash } from 'node:crypto';
import type { Queryable } from '@nestrec/database';

export interface EventKey {
  readonly userId: string;
  readonly eventId: string;
}

/** Why an event must not be stored: its user was erased after it, or it was erased itself. */
export type ErasedBy = 'user' | 'event';

export interface Tombstones {
  /** Null: it may be stored. Without a time, only a tombstone of the event itself counts. */
  stop(event: EventKey & { readonly timestampMs: number | null }): ErasedBy | null;
}

const digest = (...parts: string[]) => createHash('sha256').update(JSON.stringify(parts)).digest();
const hashUser = (userId: string) => digest('nestrec user', userId);
const hashEvent = (event: EventKey) => digest('nestrec event', event.userId, event.eventId);

/** Under which an erasure is remembered, by its user and its own id. */
export const hashErasure = (erasure: EventKey): Uint8Array =>
  digest('nestrec erasure', erasure.userId, erasure.eventId);

const textOf = (hash: Uint8Array) => Buffer.from(hash).toString('latin1');

/** The tombstones that concern these events, in one statement. */
export async function readTombstones(
  db: Queryable,
  events: readonly EventKey[],
): Promise<Tombstones> {
  if (events.length === 0) return { stop: () => null };
  const users = [...new Set(events.map((event) => event.userId))];
  const { rows } = await db.query<{ hash: Uint8Array; erased_before: Date | null }>(
    `SELECT user_hash AS hash, erased_before FROM erased_users WHERE user_hash = ANY($1::bytea[])
     UNION ALL
     SELECT event_hash, NULL FROM erased_events WHERE event_hash = ANY($2::bytea[])`,
    [users.map(hashUser), events.map(hashEvent)],
  );
  // Hardly any batch meets one.
  if (rows.length === 0) return { stop: () => null };
  const found = new Map(
    rows.map((row) => [textOf(row.hash), row.erased_before?.getTime() ?? null]),
  );
  return {
    stop: ({ userId, eventId, timestampMs }) => {
      const erasedBefore = found.get(textOf(hashUser(userId))) ?? -Infinity;
      if (timestampMs !== null && timestampMs <= erasedBefore) return 'user';
      return found.has(textOf(hashEvent({ userId, eventId }))) ? 'event' : null;
    },
  };
}

/**
 * Until the transaction ends, no tombstone is added, and every one that was is seen: for writers of
 * interactions that do not come through the log, and so not in order with erasures.
 */
export async function lockTombstones(tx: Queryable): Promise<void> {
  await tx.query('LOCK TABLE erased_users, erased_events IN SHARE MODE');
}

/** What was removed on behalf of one erasure. */
export interface Removed {
  readonly events: number;
  readonly states: number;
  readonly rejects: number;
}

/** A place in the log. */
export interface LogPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** What one call removed. */
export interface Removal {
  /** By user, or by `eventKeyText` of user and event. */
  readonly removed: Map<string, Removed>;
  /** Where the records of removed dead letters lie, whatever their key. */
  readonly rejectPlaces: readonly LogPlace[];
}

/** Rows a statement: the events of one user may be millions, and a statement has a time limit. */
const ROWS_AT_ONCE = 20_000;

/**
 * Removes everything of these users and leaves tombstones. Events go whatever their time; those later than
 * the erasure's own get tombstones of their own, so that copies of them do not come back either.
 */
export async function eraseUsers(
  tx: Queryable,
  users: ReadonlyMap<string, { readonly erasedBeforeMs: number }>,
): Promise<Removal> {
  if (users.size === 0) return { removed: new Map(), rejectPlaces: [] };
  const ids = [...users.keys()];
  const times = [...users.values()].map((user) => new Date(user.erasedBeforeMs));
  await tx.query(
    `INSERT INTO erased_users AS e (user_hash, erased_before)
     SELECT * FROM unnest($1::bytea[], $2::timestamptz[])
     ON CONFLICT (user_hash) DO UPDATE SET
       erased_before = greatest(e.erased_before, excluded.erased_before)`,
    [ids.map(hashUser), times],
  );
  const events = await removeEventsOf(tx, ids, times);
  const states = await removeStates(tx, ids);
  const { rows: rejects } = await tx.query<RejectRow & { user_id: string }>(
    `DELETE FROM rejects r USING unnest($1::text[]) AS a (user_id)
     WHERE r.record_key = a.user_id OR r.user_id = a.user_id
     RETURNING a.user_id, r.topic, r.partition, r.log_offset`,
    [ids],
  );
  const rejectsOf = countBy(rejects.map((row) => row.user_id));
  const removed = ids.map((id): [string, Removed] => [
    id,
    {
      events: events.get(id) ?? 0,
      states: states.has(id) ? 1 : 0,
      rejects: rejectsOf.get(id) ?? 0,
    },
  ]);
  return { removed: new Map(removed), rejectPlaces: rejects.map(placeOf) };
}

interface RejectRow extends Record<string, unknown> {
  topic: string;
  partition: number;
  log_offset: bigint;
}

const placeOf = (row: RejectRow): LogPlace => ({
  topic: row.topic,
  partition: row.partition,
  offset: row.log_offset,
});

async function removeEventsOf(
  tx: Queryable,
  userIds: readonly string[],
  erasedBefore: readonly Date[],
): Promise<Map<string, number>> {
  const removed = new Map<string, number>();
  for (;;) {
    const { rows } = await tx.query<{ user_id: string; events: bigint; later: string[] | null }>(
      `WITH asked AS (SELECT * FROM unnest($1::text[], $2::timestamptz[]) AS a (user_id, erased_before)),
       page AS (
         SELECT i.event_id FROM interactions i JOIN asked a ON i.user_id = a.user_id LIMIT $3
       ), gone AS (
         DELETE FROM interactions WHERE event_id IN (SELECT event_id FROM page)
         RETURNING user_id, event_id, ts
       )
       SELECT a.user_id, count(*) AS events,
         array_agg(g.event_id::text) FILTER (WHERE g.ts > a.erased_before) AS later
       FROM gone g JOIN asked a ON g.user_id = a.user_id GROUP BY a.user_id`,
      [userIds, erasedBefore, ROWS_AT_ONCE],
    );
    let total = 0;
    for (const { user_id: userId, events } of rows) {
      removed.set(userId, (removed.get(userId) ?? 0) + Number(events));
      total += Number(events);
    }
    await buryEvents(
      tx,
      rows.flatMap((row) => (row.later ?? []).map((eventId) => ({ userId: row.user_id, eventId }))),
    );
    if (total < ROWS_AT_ONCE) return removed;
  }
}

/**
 * Removes single events, each only where it is of that user, and leaves tombstones. `states` holds those
 * users whose state had to go with an event; making it anew is up to the caller.
 */
export async function eraseEvents(
  tx: Queryable,
  targets: readonly EventKey[],
): Promise<Removal & { readonly states: ReadonlySet<string> }> {
  if (targets.length === 0) return { removed: new Map(), rejectPlaces: [], states: new Set() };
  await buryEvents(tx, targets);
  const asked = [targets.map((t) => t.userId), targets.map((t) => t.eventId)];
  const { rows: events } = await tx.query<{ user_id: string; event_id: string }>(
    `DELETE FROM interactions i USING unnest($1::text[], $2::text[]) AS a (user_id, event_id)
     WHERE i.event_id = a.event_id AND i.user_id = a.user_id RETURNING i.user_id, i.event_id`,
    asked,
  );
  const { rows: rejects } = await tx.query<RejectRow & { user_id: string; event_id: string }>(
    `DELETE FROM rejects r USING unnest($1::text[], $2::text[]) AS a (user_id, event_id)
     WHERE r.event_id = a.event_id AND (r.record_key = a.user_id OR r.user_id = a.user_id)
     RETURNING a.user_id, a.event_id, r.topic, r.partition, r.log_offset`,
    asked,
  );
  const states = await removeStates(tx, [...new Set(events.map((row) => row.user_id))]);
  const keyOf = (row: { user_id: string; event_id: string }) =>
    eventKeyText({ userId: row.user_id, eventId: row.event_id });
  const eventsOf = countBy(events.map(keyOf));
  const rejectsOf = countBy(rejects.map(keyOf));
  const removed = targets.map((target): [string, Removed] => {
    const key = eventKeyText(target);
    const count = eventsOf.get(key) ?? 0;
    return [
      key,
      {
        events: count,
        states: count > 0 && states.has(target.userId) ? 1 : 0,
        rejects: rejectsOf.get(key) ?? 0,
      },
    ];
  });
  return { removed: new Map(removed), rejectPlaces: rejects.map(placeOf), states };
}

/** A key of maps for an event of a user. */
export const eventKeyText = (event: EventKey): string =>
  JSON.stringify([event.userId, event.eventId]);

/** Leaves tombstones of single events. */
async function buryEvents(tx: Queryable, events: readonly EventKey[]): Promise<void> {
  if (events.length === 0) return;
  await tx.query(
    `INSERT INTO erased_events (event_hash) SELECT DISTINCT * FROM unnest($1::bytea[])
     ON CONFLICT DO NOTHING`,
    [events.map(hashEvent)],
  );
}

async function removeStates(tx: Queryable, userIds: readonly string[]): Promise<Set<string>> {
  if (userIds.length === 0) return new Set();
  const { rows } = await tx.query<{ user_id: string }>(
    'DELETE FROM user_states WHERE user_id = ANY($1) RETURNING user_id',
    [userIds],
  );
  return new Set(rows.map((row) => row.user_id));
}

function countBy(keys: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
