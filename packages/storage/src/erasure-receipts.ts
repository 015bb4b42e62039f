/**
 * What has become of erasures, by their place in the log, and what dead letters have to say of whom they
 * speak so that an erasure finds them.
 */
import type { Queryable } from '@nestrec/database';
import { hashErasure, type EventKey, type LogPlace, type Removed } from './erasures.js';

/** An erasure that was applied. */
export interface AppliedErasure extends LogPlace, Removed {
  /** The erasure's user and its own id. */
  readonly id: EventKey;
  readonly kind: 'user' | 'event';
  readonly requestedAtMs: number;
}

/** Notes what was applied; one that is noted already (read again) is left as it is. */
export async function recordErasures(
  tx: Queryable,
  erasures: readonly AppliedErasure[],
): Promise<void> {
  if (erasures.length === 0) return;
  await tx.query(
    `INSERT INTO erasures (topic, partition, log_offset, erasure_hash, kind, requested_at, events, states,
       rejects)
     SELECT * FROM unnest($1::text[], $2::int[], $3::int8[], $4::bytea[], $5::text[], $6::timestamptz[],
       $7::int[], $8::int[], $9::int[])
     ON CONFLICT DO NOTHING`,
    [
      erasures.map((e) => e.topic),
      erasures.map((e) => e.partition),
      erasures.map((e) => e.offset),
      erasures.map((e) => hashErasure(e.id)),
      erasures.map((e) => e.kind),
      erasures.map((e) => new Date(e.requestedAtMs)),
      erasures.map((e) => e.events),
      erasures.map((e) => e.states),
      erasures.map((e) => e.rejects),
    ],
  );
}

/** Those of these erasures that were applied before, by user and id. */
export async function appliedErasures(
  db: Queryable,
  erasures: readonly EventKey[],
): Promise<EventKey[]> {
  if (erasures.length === 0) return [];
  const { rows } = await db.query<{ place: bigint }>(
    `SELECT a.place FROM unnest($1::bytea[]) WITH ORDINALITY AS a (hash, place)
     WHERE EXISTS (SELECT FROM erasures e WHERE e.erasure_hash = a.hash)`,
    [erasures.map(hashErasure)],
  );
  return rows.map((row) => erasures[Number(row.place) - 1]!);
}

export type ErasureStatus =
  | { readonly status: 'pending' | 'unknown' }
  | { readonly status: 'rejected'; readonly reason: string }
  | (Removed & {
      readonly status: 'applied';
      readonly kind: 'user' | 'event';
      readonly requestedAtMs: number;
      readonly appliedAtMs: number;
    });

interface StatusRow extends Record<string, unknown> {
  kind: 'user' | 'event' | null;
  erasure_hash: Uint8Array | null;
  requested_at: Date | null;
  applied_at: Date | null;
  events: number | null;
  states: number | null;
  rejects: number | null;
  reject_reason: string | null;
  reject_user_id: string | null;
  reject_event_id: string | null;
  next_offset: bigint | null;
}

/**
 * What has become of the erasure at a place of the log. `matches` tells, by its hash, whether it is the one
 * meant. A place that has not been read yet is pending, whatever stands there.
 */
export async function findErasure(
  db: Queryable,
  place: LogPlace,
  matches: (erasureHash: Uint8Array) => boolean,
): Promise<ErasureStatus> {
  // One statement, so one snapshot: a position that moved without its effects cannot be seen.
  const { rows } = await db.query<StatusRow>(
    `SELECT e.kind, e.erasure_hash, e.requested_at, e.applied_at, e.events, e.states, e.rejects,
       r.reason AS reject_reason, r.user_id AS reject_user_id,
       r.event_id AS reject_event_id, p.next_offset
     FROM (SELECT $1::text AS topic, $2::int AS partition, $3::int8 AS log_offset) asked
     LEFT JOIN erasures e USING (topic, partition, log_offset)
     LEFT JOIN rejects r ON r.topic = asked.topic AND r.partition = asked.partition
       AND r.log_offset = asked.log_offset AND r.part = 0
     LEFT JOIN consumer_positions p ON p.topic = asked.topic AND p.partition = asked.partition`,
    [place.topic, place.partition, place.offset],
  );
  const row = rows[0]!;
  if (row.kind !== null) {
    if (!matches(row.erasure_hash!)) return { status: 'unknown' };
    return {
      ...{ status: 'applied', kind: row.kind, requestedAtMs: row.requested_at!.getTime() },
      appliedAtMs: row.applied_at!.getTime(),
      ...{ events: row.events!, states: row.states!, rejects: row.rejects! },
    };
  }
  if (row.reject_reason !== null) {
    const { reject_user_id: userId, reject_event_id: eventId } = row;
    const named = userId !== null && eventId !== null;
    return named && matches(hashErasure({ userId, eventId }))
      ? { status: 'rejected', reason: row.reject_reason }
      : { status: 'unknown' };
  }
  return { status: (row.next_offset ?? 0n) <= place.offset ? 'pending' : 'unknown' };
}

export interface RejectSubject extends LogPlace {
  readonly part: number;
  readonly userId: string | null;
  readonly eventId: string | null;
}

/** Writes down whom and what stored rejects speak of. */
export async function nameRejectSubjects(
  tx: Queryable,
  subjects: readonly RejectSubject[],
): Promise<void> {
  const known = subjects.filter((one) => one.userId !== null || one.eventId !== null);
  if (known.length === 0) return;
  await tx.query(
    `UPDATE rejects r SET user_id = s.user_id, event_id = s.event_id
     FROM unnest($1::text[], $2::int[], $3::int8[], $4::int[], $5::text[], $6::text[])
       AS s (topic, partition, log_offset, part, user_id, event_id)
     WHERE (r.topic, r.partition, r.log_offset, r.part)
       = (s.topic, s.partition, s.log_offset, s.part)`,
    [
      known.map((s) => s.topic),
      known.map((s) => s.partition),
      known.map((s) => s.offset),
      known.map((s) => s.part),
      known.map((s) => s.userId),
      known.map((s) => s.eventId),
    ],
  );
}
