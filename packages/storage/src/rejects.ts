/**
 * Records of the event log that could not be applied: kept with their bytes and the reason, forwarded to
 * the topic of dead letters (`sent_at`), and replayed when the reason is gone (`replayed_at`).
 *
 * Knows neither the log nor the validation. Values may be large, so lists leave them out and pages are
 * bounded by bytes.
 */
import type { Queryable } from '@nestrec/database';

export interface Reject {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Place within a record that holds several events; 0 otherwise. */
  readonly part: number;
  /** A short code: `not_json`, `event_id_conflict`, ... */
  readonly reason: string;
  readonly detail: string;
  readonly key: string | null;
  /** The key as it lay in the log, where that is not `key` in UTF-8. */
  readonly keyBytes?: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Version of the ingest that set it aside. */
  readonly consumerVersion?: string | null;
}

/** What a list shows of a reject: everything but the value, which may be large. */
export interface RejectSummary extends Omit<Reject, 'value' | 'keyBytes'> {
  /** Length of the value; null where there is none. */
  readonly valueBytes: number | null;
  /** Place in the order of setting aside. */
  readonly seq: bigint;
  readonly rejectedAtMs: number;
  readonly consumerVersion: string | null;
  /** When the topic of dead letters had it. */
  readonly sentAtMs: number | null;
  /** When it was appended to the log again. */
  readonly replayedAtMs: number | null;
}

export interface StoredReject extends RejectSummary {
  readonly value: Uint8Array | null;
  /** The key as it lay in the log; null where there was none. */
  readonly keyBytes: Uint8Array | null;
}

interface SummaryRow extends Record<string, unknown> {
  topic: string;
  partition: number;
  log_offset: bigint;
  part: number;
  reason: string;
  detail: string;
  record_key: string | null;
  key_bytes: Uint8Array | null;
  value_bytes: number | null;
  seq: bigint;
  rejected_at: Date;
  consumer_version: string | null;
  sent_at: Date | null;
  replayed_at: Date | null;
}

interface RejectRow extends SummaryRow {
  record_value: Uint8Array | null;
}

const SUMMARY = `topic, partition, log_offset, part, reason, detail, record_key, key_bytes,
  octet_length(record_value) AS value_bytes, seq, rejected_at, consumer_version, sent_at, replayed_at`;

const encoder = new TextEncoder();
// A byte order mark is part of a key like any other character.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** PostgreSQL text cannot hold these; where the key has them, `key_bytes` has it whole. */
const storable = (text: string) => text.toWellFormed().replaceAll('\u0000', '\ufffd');

function inexactKeyBytes({ key, keyBytes }: Reject): Uint8Array | null {
  if (keyBytes !== undefined && keyBytes !== null) return keyBytes;
  return key === null || storable(key) === key ? null : encoder.encode(key);
}

/** Stores rejects; one that is stored already (redelivery) is left as it is. */
export async function insertRejects(db: Queryable, rejects: readonly Reject[]): Promise<number> {
  if (rejects.length === 0) return 0;
  // In order of the log: `seq` follows the order of the rows.
  const rows = [...rejects].sort(
    (a, b) => a.partition - b.partition || Number(a.offset - b.offset) || a.part - b.part,
  );
  const { rowCount } = await db.query(
    `INSERT INTO rejects (topic, partition, log_offset, part, reason, detail, record_key, key_bytes,
       record_value, consumer_version)
     SELECT * FROM unnest($1::text[], $2::int[], $3::int8[], $4::int[], $5::text[], $6::text[],
       $7::text[], $8::bytea[], $9::bytea[], $10::text[])
     ON CONFLICT DO NOTHING`,
    [
      rows.map((r) => r.topic),
      rows.map((r) => r.partition),
      rows.map((r) => r.offset),
      rows.map((r) => r.part),
      rows.map((r) => r.reason),
      rows.map((r) => storable(r.detail)),
      rows.map((r) => (r.key === null ? null : storable(r.key))),
      rows.map(inexactKeyBytes),
      rows.map((r) => r.value),
      rows.map((r) => r.consumerVersion ?? null),
    ],
  );
  return rowCount;
}

export interface RejectFilter {
  readonly reason?: string;
  /** Set aside at this time or later. */
  readonly sinceMs?: number;
}

const FILTER = `($1::text IS NULL OR reason = $1) AND ($2::timestamptz IS NULL OR rejected_at >= $2)`;
const filterValues = ({ reason, sinceMs }: RejectFilter) => [
  reason ?? null,
  sinceMs === undefined ? null : new Date(sinceMs),
];

/** The newest rejects first, without their values. */
export async function listRejectSummaries(
  db: Queryable,
  options: RejectFilter & { limit?: number } = {},
): Promise<RejectSummary[]> {
  const { rows } = await db.query<SummaryRow>(
    `SELECT ${SUMMARY} FROM rejects WHERE ${FILTER} ORDER BY seq DESC LIMIT $3`,
    [...filterValues(options), options.limit ?? 100],
  );
  return rows.map(toSummary);
}

/** The newest rejects first, whole: for few of them. */
export async function listRejects(
  db: Queryable,
  options: RejectFilter & { limit?: number } = {},
): Promise<StoredReject[]> {
  const { rows } = await db.query<RejectRow>(
    `SELECT ${SUMMARY}, record_value FROM rejects WHERE ${FILTER} ORDER BY seq DESC LIMIT $3`,
    [...filterValues(options), options.limit ?? 100],
  );
  return rows.map(toReject);
}

/** The reject of a record, or null. */
export async function getReject(
  db: Queryable,
  place: { topic: string; partition: number; offset: bigint },
): Promise<StoredReject | null> {
  const { rows } = await db.query<RejectRow>(
    `SELECT ${SUMMARY}, record_value FROM rejects
     WHERE topic = $1 AND partition = $2 AND log_offset = $3 ORDER BY part LIMIT 1`,
    [place.topic, place.partition, place.offset],
  );
  return rows[0] === undefined ? null : toReject(rows[0]);
}

export async function countRejectsByReason(
  db: Queryable,
  filter: RejectFilter = {},
): Promise<Map<string, bigint>> {
  const { rows } = await db.query<{ reason: string; rejects: bigint }>(
    `SELECT reason, count(*) AS rejects FROM rejects WHERE ${FILTER} GROUP BY reason ORDER BY reason`,
    filterValues(filter),
  );
  return new Map(rows.map((row) => [row.reason, row.rejects]));
}

/** How much of a table is held in memory at once. */
export interface PageLimits {
  readonly rows: number;
  /** Bytes of values; a page holds one row at least, however large. */
  readonly bytes: number;
}

/** Rows that a condition on `values` ($1, $2, ...) holds for, in order of setting aside. */
async function readPage(
  db: Queryable,
  condition: string,
  values: readonly unknown[],
  limits: PageLimits,
): Promise<StoredReject[]> {
  /* eslint-disable no-restricted-syntax -- conditions are constants of this file, with places for values */
  const { rows } = await db.query<RejectRow>(
    `SELECT * FROM (
       SELECT chosen.*, row_number() OVER (ORDER BY seq) AS place,
         sum(coalesce(value_bytes, 0)) OVER (ORDER BY seq) AS bytes_so_far
       FROM (SELECT ${SUMMARY}, record_value FROM rejects
             WHERE ${condition} ORDER BY seq LIMIT $${values.length + 1}) AS chosen
     ) AS counted
     WHERE place = 1 OR bytes_so_far <= $${values.length + 2} ORDER BY seq`,
    [...values, limits.rows, limits.bytes],
  );
  /* eslint-enable no-restricted-syntax */
  return rows.map(toReject);
}

/** The oldest rejects that the topic of dead letters has not had. */
export function unsentRejects(db: Queryable, limits: PageLimits): Promise<StoredReject[]> {
  return readPage(db, 'sent_at IS NULL', [], limits);
}

export async function countUnsentRejects(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ unsent: bigint }>(
    'SELECT count(*) AS unsent FROM rejects WHERE sent_at IS NULL',
  );
  return Number(rows[0]!.unsent);
}

export async function markRejectsSent(db: Queryable, seqs: readonly bigint[]): Promise<void> {
  await db.query(
    'UPDATE rejects SET sent_at = now() WHERE seq = ANY($1::int8[]) AND sent_at IS NULL',
    [seqs],
  );
}

export interface ReplayFilter extends RejectFilter {
  readonly topic: string;
  /** Reasons to leave out. */
  readonly exceptReasons: readonly string[];
}

const REPLAYABLE = `replayed_at IS NULL AND ${FILTER}
  AND topic = $3 AND NOT (reason = ANY($4::text[]))`;
const replayValues = (filter: ReplayFilter) => [
  ...filterValues(filter),
  filter.topic,
  filter.exceptReasons,
];

/** Rejects that were not replayed, after `afterSeq` and up to `lastSeq`, oldest first. */
export function unreplayedRejects(
  db: Queryable,
  filter: ReplayFilter,
  range: { afterSeq: bigint; lastSeq: bigint },
  limits: PageLimits,
): Promise<StoredReject[]> {
  return readPage(
    db,
    `${REPLAYABLE} AND seq > $5 AND seq <= $6`,
    [...replayValues(filter), range.afterSeq, range.lastSeq],
    limits,
  );
}

/** How many there are to replay, and the last of them. */
export async function countUnreplayedRejects(
  db: Queryable,
  filter: ReplayFilter,
): Promise<{ count: number; lastSeq: bigint }> {
  const { rows } = await db.query<{ count: bigint; last_seq: bigint | null }>(
    `SELECT count(*) AS count, max(seq) AS last_seq FROM rejects WHERE ${REPLAYABLE}`,
    replayValues(filter),
  );
  return { count: Number(rows[0]!.count), lastSeq: rows[0]!.last_seq ?? 0n };
}

export async function markRejectsReplayed(db: Queryable, seqs: readonly bigint[]): Promise<void> {
  await db.query(
    'UPDATE rejects SET replayed_at = now() WHERE seq = ANY($1::int8[]) AND replayed_at IS NULL',
    [seqs],
  );
}

/**
 * Deletes rejects set aside before a time; returns how many. With `keepUnsent`, those stay that the topic
 * of dead letters has not had.
 */
export async function purgeRejects(
  db: Queryable,
  options: { beforeMs: number; keepUnsent: boolean },
): Promise<number> {
  const { rowCount } = await db.query(
    `DELETE FROM rejects WHERE rejected_at < $1 AND (sent_at IS NOT NULL OR NOT $2::boolean)`,
    [new Date(options.beforeMs), options.keepUnsent],
  );
  return rowCount;
}

function toSummary(row: SummaryRow): RejectSummary {
  return {
    topic: row.topic,
    partition: row.partition,
    offset: row.log_offset,
    part: row.part,
    reason: row.reason,
    detail: row.detail,
    key: row.key_bytes === null ? row.record_key : decoder.decode(row.key_bytes),
    valueBytes: row.value_bytes,
    seq: row.seq,
    rejectedAtMs: row.rejected_at.getTime(),
    consumerVersion: row.consumer_version,
    sentAtMs: row.sent_at?.getTime() ?? null,
    replayedAtMs: row.replayed_at?.getTime() ?? null,
  };
}

function toReject(row: RejectRow): StoredReject {
  const keyText = row.record_key === null ? null : encoder.encode(row.record_key);
  return { ...toSummary(row), value: row.record_value, keyBytes: row.key_bytes ?? keyText };
}
