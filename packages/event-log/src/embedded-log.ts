/**
 * The event log as a table of the database: one partition, offsets 0, 1, 2, ... without holes.
 *
 * An append takes its offsets from the topic's head row, whose lock is held until the append commits.
 * So a reader that sees an offset sees all smaller ones, which a sequence would not promise.
 */
import type { Database } from '@nestrec/database';
import { EventLogUnavailable } from '@nestrec/errors';
import { silentLogger, type Logger } from '@nestrec/runtime';
import { eraseRecords } from './erase-records.js';
import { createSignal } from './signal.js';
import { DEFAULT_RETRY_MS, runSubscription, type PartitionReader } from './subscription.js';
import type { EventLog, LogRecord, NewRecord, Subscription } from './types.js';

const PARTITION = 0;
export const DEFAULT_TOPIC = 'interactions.v1';

export interface EmbeddedLogOptions {
  readonly topic?: string;
  readonly logger?: Logger;
  /** How often to look for records that other processes appended, ms. */
  readonly pollIntervalMs?: number;
  /** First and longest pause after a failure, ms. */
  readonly retryMs?: { readonly first: number; readonly longest: number };
}

/** Subscribers in this process, by database and topic: woken by appends through any log object. */
const wakersOf = new WeakMap<Database, Map<string, Set<() => void>>>();

function wakers(db: Database, topic: string): Set<() => void> {
  const byTopic = wakersOf.get(db) ?? new Map<string, Set<() => void>>();
  wakersOf.set(db, byTopic);
  const set = byTopic.get(topic) ?? new Set<() => void>();
  byTopic.set(topic, set);
  return set;
}

interface RecordRow extends Record<string, unknown> {
  log_offset: bigint;
  /** Key and value are null together: erased. */
  record_key: string | null;
  record_value: Uint8Array | null;
  appended_at: Date;
}

async function appendRecords(
  db: Database,
  topic: string,
  records: readonly NewRecord[],
): Promise<bigint> {
  const { rows } = await db.query<{ first: bigint }>(
    `WITH head AS (
       INSERT INTO event_log_heads AS h (topic, next_offset) VALUES ($1, $2::int8)
       ON CONFLICT (topic) DO UPDATE SET next_offset = h.next_offset + $2::int8
       RETURNING next_offset - $2::int8 AS first
     ), written AS (
       INSERT INTO event_log (topic, log_offset, record_key, record_value)
       SELECT $1, head.first + r.place - 1, r.key, r.value
       FROM head, unnest($3::text[], $4::bytea[]) WITH ORDINALITY AS r (key, value, place)
     )
     SELECT first FROM head`,
    [topic, records.length, records.map((r) => r.key), records.map((r) => r.value)],
  );
  return rows[0]!.first;
}

function tableReader(db: Database, topic: string): PartitionReader {
  return {
    partition: PARTITION,
    next: async () => {
      const { rows } = await db.query<{ next_offset: bigint }>(
        'SELECT next_offset FROM event_log_heads WHERE topic = $1',
        [topic],
      );
      return rows[0]?.next_offset ?? 0n;
    },
    read: async (from, limit) => {
      const { rows } = await db.query<RecordRow>(
        `SELECT log_offset, record_key, record_value, appended_at FROM event_log
         WHERE topic = $1 AND log_offset >= $2 ORDER BY log_offset LIMIT $3`,
        [topic, from, limit],
      );
      return rows.map((row): LogRecord => ({
        offset: row.log_offset,
        key: row.record_key,
        value: row.record_value,
        appendedAtMs: row.appended_at.getTime(),
        ...(row.record_key === null ? { erased: true as const } : {}),
      }));
    },
  };
}

/** Opens the log; the database must be migrated. */
export function openEmbeddedLog(db: Database, options: EmbeddedLogOptions = {}): EventLog {
  const topic = options.topic ?? DEFAULT_TOPIC;
  const logger = options.logger ?? silentLogger();
  const subscriptions = new Set<Subscription>();
  const listeners = wakers(db, topic);
  let closed = false;
  const assertOpen = () => {
    if (closed) throw new EventLogUnavailable({ detail: `the log ${topic} is closed` });
  };

  return {
    topic,
    append: async (records) => {
      assertOpen();
      if (records.length === 0) return [];
      const first = await appendRecords(db, topic, records);
      for (const wake of listeners) wake();
      return records.map((_, i) => ({ partition: PARTITION, offset: first + BigInt(i) }));
    },
    subscribe: async (request) => {
      assertOpen();
      const signal = createSignal();
      listeners.add(signal.wake);
      const running = runSubscription(tableReader(db, topic), request, signal, {
        logger,
        pollIntervalMs: options.pollIntervalMs ?? 250,
        retryMs: options.retryMs ?? DEFAULT_RETRY_MS,
      });
      const subscription: Subscription = {
        status: running.status,
        stop: async () => {
          signal.stop();
          await running.ended;
          listeners.delete(signal.wake);
          subscriptions.delete(subscription);
        },
      };
      subscriptions.add(subscription);
      return subscription;
    },
    offsets: async () => {
      assertOpen();
      const { rows } = await db.query<{ low: bigint | null; next: bigint | null }>(
        `SELECT (SELECT min(log_offset) FROM event_log WHERE topic = $1) AS low,
                (SELECT next_offset FROM event_log_heads WHERE topic = $1) AS next`,
        [topic],
      );
      const next = rows[0]?.next ?? 0n;
      return new Map([[PARTITION, { low: rows[0]?.low ?? next, next }]]);
    },
    erase: (tx, request) => eraseRecords(tx, topic, request),
    close: async () => {
      closed = true;
      await Promise.all([...subscriptions].map((subscription) => subscription.stop()));
    },
  };
}
