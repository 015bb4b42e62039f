/**
 * User states: bytes to this file, a recurrent state to `streaming`. Whoever changes states locks their
 * rows first, within the transaction that also moves the log position.
 */
import type { Queryable } from '@nestrec/database';

export interface UserState {
  readonly userId: string;
  readonly modelVersion: string;
  /** Encoded by `streaming`. */
  readonly state: Uint8Array;
  readonly lastItemId: string | null;
  readonly eventsInState: number;
  /** Events of items the model did not know, which are not in the state. */
  readonly unknownEvents: number;
  /** Closed-form edits since the last fold. */
  readonly edits: number;
  /** Place of the newest event in the state; null where it is empty. */
  readonly newestTimestampMs: number | null;
  readonly newestEventId: string | null;
  /** Revision of the version's item vectors before those in the state were read (vector-revisions.ts). */
  readonly vectorsRevision: bigint;
}

export interface StoredUserState extends UserState {
  /** Whether the newest events that make the state include an item whose vector was replaced since. */
  readonly vectorsStale: boolean;
}

interface StateRow extends Record<string, unknown> {
  user_id: string;
  model_version: string;
  state: Uint8Array;
  last_item_id: string | null;
  events_in_state: number;
  unknown_events: number;
  edits: number;
  newest_ts: Date | null;
  newest_event_id: string | null;
  vectors_revision: bigint;
  vectors_stale: boolean;
}

const COLUMNS = `user_id, model_version, state, last_item_id, events_in_state, unknown_events, edits,
  newest_ts, newest_event_id, vectors_revision`;

/**
 * Rows with the judgement of their item vectors. Columns by name: with `*` a migration that adds one would outdate
 * the plans that connections keep. Where none was replaced since the row was written, that
 * is a comparison of two numbers (of the version that has the vectors); otherwise the newest events are looked through. A version that does not
 * say how many events make a state has all of them looked through.
 */
const SELECT_STATES = `SELECT ${COLUMNS.replace(/\w+/g, 's.$&')},
    CASE WHEN v.version IS NULL OR s.vectors_revision >= o.vectors_revision THEN false
      WHEN s.vectors_revision < o.vectors_floor THEN true
      ELSE EXISTS (
        SELECT 1 FROM item_vector_changes c
        WHERE c.version = o.version AND c.revision > s.vectors_revision
          AND c.item_id = ANY (ARRAY(
            SELECT i.item_id FROM interactions i WHERE i.user_id = s.user_id
            ORDER BY i.ts DESC, i.event_id DESC LIMIT (v.manifest->>'replayEvents')::int)))
    END AS vectors_stale
  FROM user_states s LEFT JOIN model_versions v ON v.version = s.model_version
    LEFT JOIN model_versions o ON o.version = coalesce(v.vectors_version, v.version)`;

const toState = (row: StateRow): StoredUserState => ({
  userId: row.user_id,
  modelVersion: row.model_version,
  state: row.state,
  lastItemId: row.last_item_id,
  eventsInState: row.events_in_state,
  unknownEvents: row.unknown_events,
  edits: row.edits,
  newestTimestampMs: row.newest_ts?.getTime() ?? null,
  newestEventId: row.newest_event_id,
  vectorsRevision: row.vectors_revision,
  vectorsStale: row.vectors_stale,
});

const byUser = (rows: StateRow[]) => new Map(rows.map((row) => [row.user_id, toState(row)]));

export async function getUserState(db: Queryable, userId: string): Promise<StoredUserState | null> {
  const { rows } = await db.query<StateRow>(`${SELECT_STATES} WHERE s.user_id = $1`, [userId]);
  return rows[0] ? toState(rows[0]) : null;
}

export async function getUserStates(
  db: Queryable,
  userIds: readonly string[],
): Promise<Map<string, StoredUserState>> {
  // Behind the subquery the array's length is hidden: its plan would look dearer for any length than for
  // this one, so that the server would plan anew each time, for five times what the rows cost.
  const { rows } = await db.query<StateRow>(
    `${SELECT_STATES} WHERE s.user_id = ANY (ARRAY(SELECT unnest($1::text[])))`,
    [userIds],
    { prepare: true },
  );
  return byUser(rows);
}

/**
 * Reads states and locks their rows until the transaction ends. Rows are locked in id order, so two
 * writers never wait for one another in a circle. Users without a row are absent and not locked:
 * their first writer is decided by `upsertUserStates`.
 */
export async function lockUserStates(
  tx: Queryable,
  userIds: readonly string[],
): Promise<Map<string, StoredUserState>> {
  const { rows } = await tx.query<StateRow>(
    `${SELECT_STATES} WHERE s.user_id = ANY($1) ORDER BY s.user_id FOR UPDATE OF s`,
    [userIds],
  );
  return byUser(rows);
}

/** Writes states whole. Of several with one user id the last counts. */
export async function upsertUserStates(db: Queryable, states: readonly UserState[]): Promise<void> {
  if (states.length === 0) return;
  const unique = [...new Map(states.map((state) => [state.userId, state])).values()];
  const rows = unique.sort((a, b) => (a.userId < b.userId ? -1 : 1));
  // All states as one value, which travels as bytes: bytea[] would go as hexadecimal text (decision 0018).
  const { bytes, starts, lengths } = joined(rows.map((row) => row.state));
  await db.query(
    `INSERT INTO user_states (${COLUMNS})
     SELECT user_id, model_version, substring($3::bytea FROM start FOR length), last_item_id,
       events_in_state, unknown_events, edits, newest_ts, newest_event_id, vectors_revision
     FROM unnest($1::text[], $2::text[], $4::int[], $5::int[], $6::text[], $7::int[], $8::int[],
       $9::int[], $10::timestamptz[], $11::text[], $12::bigint[])
       AS t (user_id, model_version, start, length, last_item_id, events_in_state, unknown_events,
         edits, newest_ts, newest_event_id, vectors_revision)
     ON CONFLICT (user_id) DO UPDATE SET
       model_version = excluded.model_version, state = excluded.state,
       last_item_id = excluded.last_item_id, events_in_state = excluded.events_in_state,
       unknown_events = excluded.unknown_events, edits = excluded.edits,
       newest_ts = excluded.newest_ts, newest_event_id = excluded.newest_event_id,
       vectors_revision = excluded.vectors_revision, updated_at = now()`,
    [
      rows.map((s) => s.userId),
      rows.map((s) => s.modelVersion),
      ...[bytes, starts, lengths],
      rows.map((s) => s.lastItemId),
      rows.map((s) => s.eventsInState),
      rows.map((s) => s.unknownEvents),
      rows.map((s) => s.edits),
      rows.map((s) => (s.newestTimestampMs === null ? null : new Date(s.newestTimestampMs))),
      rows.map((s) => s.newestEventId),
      rows.map((s) => s.vectorsRevision),
    ],
  );
}

/** Values one behind another, with where each begins (SQL counts from 1) and how long it is. */
function joined(values: readonly Uint8Array[]) {
  const lengths = values.map((value) => value.length);
  const bytes = new Uint8Array(lengths.reduce((a, b) => a + b, 0));
  let end = 0;
  const starts = values.map((value) => {
    bytes.set(value, end);
    end += value.length;
    return end - value.length + 1;
  });
  return { bytes, starts, lengths };
}

export async function deleteUserStates(db: Queryable, userIds: readonly string[]): Promise<number> {
  const { rowCount } = await db.query('DELETE FROM user_states WHERE user_id = ANY($1)', [userIds]);
  return rowCount;
}

/** All states in user id order, in batches, for verification. */
export async function* streamUserStates(
  db: Queryable,
  batchSize = 1_000,
): AsyncGenerator<StoredUserState[]> {
  let after = '';
  for (;;) {
    const { rows } = await db.query<StateRow>(
      `${SELECT_STATES} WHERE s.user_id > $1 ORDER BY s.user_id LIMIT $2`,
      [after, batchSize],
    );
    if (rows.length > 0) yield rows.map(toState);
    if (rows.length < batchSize) return;
    after = rows.at(-1)!.user_id;
  }
}
