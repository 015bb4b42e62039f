/**
 * Takes the bytes of records out of the log's table: key and value become NULL, the offset stays, so that
 * readers find no hole. Readers get such a record marked as erased.
 */
import type { Queryable } from '@nestrec/database';
import type { EraseRequest } from './types.js';

/** Values read at once while looking for single records of a key. */
const PAGE = 1_000;

/** Erases in the caller's transaction; returns how many records lost their bytes. */
export async function eraseRecords(
  tx: Queryable,
  topic: string,
  request: EraseRequest,
): Promise<number> {
  const whole = request.keys.filter((one) => one.only === undefined);
  let erased = await eraseKeys(tx, topic, whole);
  const offsets = [...request.offsets];
  for (const { key, below, only } of request.keys) {
    if (only !== undefined) offsets.push(...(await findRecords(tx, topic, { key, below, only })));
  }
  erased += await eraseOffsets(tx, topic, offsets);
  return erased;
}

async function eraseKeys(
  tx: Queryable,
  topic: string,
  keys: readonly { readonly key: string; readonly below: bigint }[],
): Promise<number> {
  if (keys.length === 0) return 0;
  const { rowCount } = await tx.query(
    `UPDATE event_log l SET record_key = NULL, record_value = NULL
     FROM unnest($2::text[], $3::int8[]) AS k (key, below)
     WHERE l.topic = $1 AND l.record_key = k.key AND l.log_offset < k.below`,
    [topic, keys.map((one) => one.key), keys.map((one) => one.below)],
  );
  return rowCount;
}

async function eraseOffsets(
  tx: Queryable,
  topic: string,
  offsets: readonly bigint[],
): Promise<number> {
  if (offsets.length === 0) return 0;
  const { rowCount } = await tx.query(
    `UPDATE event_log SET record_key = NULL, record_value = NULL
     WHERE topic = $1 AND log_offset = ANY($2::int8[]) AND record_key IS NOT NULL`,
    [topic, offsets],
  );
  return rowCount;
}

async function findRecords(
  tx: Queryable,
  topic: string,
  wanted: { key: string; below: bigint; only: (value: Uint8Array) => boolean },
): Promise<bigint[]> {
  const found: bigint[] = [];
  let below = wanted.below;
  for (;;) {
    const { rows } = await tx.query<{ log_offset: bigint; record_value: Uint8Array }>(
      `SELECT log_offset, record_value FROM event_log
       WHERE topic = $1 AND record_key = $2 AND log_offset < $3 ORDER BY log_offset DESC LIMIT $4`,
      [topic, wanted.key, below, PAGE],
    );
    for (const row of rows) if (wanted.only(row.record_value)) found.push(row.log_offset);
    if (rows.length < PAGE) return found;
    below = rows.at(-1)!.log_offset;
  }
}
