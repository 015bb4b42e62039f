/** Records that erase, and a search of a whole database for what must not be left in it. */
import type { Database } from '@nestrec/database';
import { NOW_MS } from './ingest-harness.js';

export interface DraftErasure {
  readonly user?: string;
  /** The erasure's own id. */
  readonly id?: string;
  /** The event to erase; absent: the whole user. */
  readonly event?: string;
  /** Minutes before NOW_MS. */
  readonly ago?: number;
}

/** The log's record of an erasure, by its bytes. */
export function erasureRecord(draft: DraftErasure): { key: string; value: Uint8Array } {
  const { user = 'u', event, ago = 0 } = draft;
  const id = draft.id ?? `erase-${user}-${event ?? ago}`;
  const body = {
    ...{ schema_version: 1, event_id: id, user_id: user, timestamp_ms: NOW_MS - ago * 60_000 },
    ...(event === undefined
      ? { type: 'erase_user' }
      : { type: 'erase_event', target_event_id: event }),
  };
  return { key: user, value: new TextEncoder().encode(JSON.stringify(body)) };
}

/** Every table of the schema with the rows in which `text` stands, as text, in bytes or inside JSON. */
export async function tablesThatMention(db: Database, text: string): Promise<string[]> {
  const { rows: tables } = await db.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE relkind IN ('r', 'p', 'm') AND nspname = 'public' ORDER BY relname`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const { rows } = await db.query(`SELECT * FROM "${name}"`);
    if (rows.some((row) => Object.values(row).some((value) => mentions(value, text)))) {
      found.push(name);
    }
  }
  return found;
}

function mentions(value: unknown, text: string): boolean {
  if (typeof value === 'string') return value.includes(text);
  if (value instanceof Uint8Array) return Buffer.from(value).includes(text);
  if (Array.isArray(value)) return value.some((one) => mentions(one, text));
  return typeof value === 'object' && value !== null && JSON.stringify(value).includes(text);
}

/** Everything that ingest leaves behind, for comparison; without times of its own. */
export async function snapshot(db: Database): Promise<Record<string, unknown[]>> {
  const shown = (value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value;
  const read = async (sql: string) =>
    (await db.query(sql)).rows.map((row) => Object.values(row).map(shown));
  return {
    interactions: await read('SELECT * FROM interactions ORDER BY event_id'),
    states: await read(
      'SELECT user_id, model_version, events_in_state, newest_event_id FROM user_states ORDER BY user_id',
    ),
    rejects: await read(
      'SELECT log_offset, reason, record_key, record_value, user_id, event_id FROM rejects ORDER BY log_offset',
    ),
    positions: await read(
      'SELECT topic, partition, next_offset, fingerprint FROM consumer_positions',
    ),
    users: await read('SELECT * FROM erased_users ORDER BY user_hash'),
    events: await read('SELECT * FROM erased_events ORDER BY event_hash'),
    receipts: await read(
      'SELECT log_offset, erasure_hash, kind, requested_at, events, states, rejects FROM erasures ORDER BY log_offset',
    ),
    log: await read(
      'SELECT log_offset, record_key, record_value FROM event_log ORDER BY log_offset',
    ),
  };
}
