/** Records of the event log that could not be applied: kept with their bytes and the reason. */
import type { Queryable } from '@nestrec/database';

export interface Reject {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Place within a record that holds several events; 0 otherwise. */
  readonly part: number;
  /** A short code: `invalid_json`, `event_id_conflict`, ... */
  readonly reason: string;
  readonly detail: string;
  readonly key: string | null;
  readonly value: Uint8Array | null;
}

export interface StoredReject extends Reject {
  readonly rejectedAtMs: number;
}

interface RejectRow extends Record<string, unknown> {
  topic: string;
  partition: number;
  log_offset: bigint;
  part: number;
  reason: string;
  detail: string;
  record_key: string | null;
  record_value: Uint8Array | null;
  rejected_at: Date;
}

/** PostgreSQL text cannot hold these; the exact key is in the record's bytes. */
const storable = (text: string) => text.toWellFormed().replaceAll('\u0000', '\ufffd');

/** Stores rejects; one that is stored already (redelivery) is left as it is. */
export async function insertRejects(db: Queryable, rejects: readonly Reject[]): Promise<number> {
  if (rejects.length === 0) return 0;
  const { rowCount } = await db.query(
    `INSERT INTO rejects (topic, partition, log_offset, part, reason, detail, record_key, record_value)
     SELECT * FROM unnest($1::text[], $2::int[], $3::int8[], $4::int[], $5::text[], $6::text[],
       $7::text[], $8::bytea[])
     ON CONFLICT DO NOTHING`,
    [
      rejects.map((r) => r.topic),
      rejects.map((r) => r.partition),
      rejects.map((r) => r.offset),
      rejects.map((r) => r.part),
      rejects.map((r) => r.reason),
      rejects.map((r) => storable(r.detail)),
      rejects.map((r) => (r.key === null ? null : storable(r.key))),
      rejects.map((r) => r.value),
    ],
  );
  return rowCount;
}

/** The newest rejects first. */
export async function listRejects(
  db: Queryable,
  options: { reason?: string; limit?: number } = {},
): Promise<StoredReject[]> {
  const { rows } = await db.query<RejectRow>(
    `SELECT topic, partition, log_offset, part, reason, detail, record_key, record_value, rejected_at
     FROM rejects WHERE $1::text IS NULL OR reason = $1
     ORDER BY rejected_at DESC, topic, partition, log_offset DESC, part LIMIT $2`,
    [options.reason ?? null, options.limit ?? 100],
  );
  return rows.map((row) => ({
    topic: row.topic,
    partition: row.partition,
    offset: row.log_offset,
    part: row.part,
    reason: row.reason,
    detail: row.detail,
    key: row.record_key,
    value: row.record_value,
    rejectedAtMs: row.rejected_at.getTime(),
  }));
}

export async function countRejectsByReason(db: Queryable): Promise<Map<string, bigint>> {
  const { rows } = await db.query<{ reason: string; rejects: bigint }>(
    'SELECT reason, count(*) AS rejects FROM rejects GROUP BY reason ORDER BY reason',
  );
  return new Map(rows.map((row) => [row.reason, row.rejects]));
}
