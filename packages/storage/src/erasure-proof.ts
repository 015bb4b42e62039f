/**
 * What a model's manifest says of erasures: those that its training data had behind them, and which came
 * later. By place in the log, since an erasure's transaction moves the position with it: a clock could not
 * tell what a snapshot saw.
 */
import { createHash } from 'node:crypto';
import type { ErasureProof, Manifest } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';

const HASHES_AT_ONCE = 10_000;

/** The erasures that are applied where `tx` looks: read it from the snapshot that the data come from. */
export async function readErasureProof(tx: Queryable): Promise<ErasureProof> {
  const hash = createHash('sha256');
  let users = 0;
  let after: Uint8Array = new Uint8Array(0);
  for (;;) {
    const { rows } = await tx.query<{ user_hash: Uint8Array }>(
      'SELECT user_hash FROM erased_users WHERE user_hash > $1 ORDER BY user_hash LIMIT $2',
      [after, HASHES_AT_ONCE],
    );
    for (const row of rows) hash.update(row.user_hash);
    users += rows.length;
    if (rows.length < HASHES_AT_ONCE) break;
    after = rows.at(-1)!.user_hash;
  }
  const { rows: positions } = await tx.query<{
    topic: string;
    partition: number;
    next_offset: bigint;
  }>('SELECT topic, partition, next_offset FROM consumer_positions ORDER BY topic, partition');
  return {
    users,
    sha256: hash.digest('hex'),
    positions: positions.map(({ topic, partition, next_offset: next }) => {
      return { topic, partition, nextOffset: String(next) };
    }),
  };
}

/**
 * The erasures that everything in a model's weights had behind it: of a warm start not those of its own data,
 * but those of the parameters that it began with. Null where nobody wrote them down.
 */
export function weightsErasures({
  data,
  origin,
}: Pick<Manifest, 'data' | 'origin'>): ErasureProof | null {
  return origin?.startErasures !== undefined ? origin.startErasures : (data.erasures ?? null);
}

export interface LaterErasures {
  /** Erasures of whole users, applied after the data were read. */
  readonly users: number;
  /** Erasures of single events. */
  readonly events: number;
  /** Of both, those that removed stored events: what these said may be in the weights. */
  readonly withEvents: number;
  /** When the first of them was applied, epoch milliseconds; null where there is none. */
  readonly firstAtMs: number | null;
}

/** Erasures that came after a model's data were read. */
export async function erasuresAfter(db: Queryable, proof: ErasureProof): Promise<LaterErasures> {
  const { positions } = proof;
  const { rows } = await db.query<{
    users: bigint;
    events: bigint;
    with_events: bigint;
    first_at: Date | null;
  }>(
    `SELECT count(*) FILTER (WHERE e.kind = 'user') AS users,
       count(*) FILTER (WHERE e.kind = 'event') AS events,
       count(*) FILTER (WHERE e.events > 0) AS with_events, min(e.applied_at) AS first_at
     FROM erasures e
     LEFT JOIN unnest($1::text[], $2::int[], $3::bigint[]) AS p (topic, partition, next_offset)
       ON p.topic = e.topic AND p.partition = e.partition
     WHERE p.next_offset IS NULL OR e.log_offset >= p.next_offset`,
    [
      positions.map(({ topic }) => topic),
      positions.map(({ partition }) => partition),
      positions.map(({ nextOffset }) => BigInt(nextOffset)),
    ],
  );
  const { users, events, with_events: withEvents, first_at: firstAt } = rows[0]!;
  return {
    ...{ users: Number(users), events: Number(events), withEvents: Number(withEvents) },
    firstAtMs: firstAt?.getTime() ?? null,
  };
}
