/** Tiers as stored; what they mean is in `contracts`. */
import { DEFAULT_TIERS, type Tier } from '@nestrec/contracts';
import type { Database, Queryable } from '@nestrec/database';
import { TierInUse } from '@nestrec/errors';

/** Columns of a tier, in the order of `valuesOf`; names and order are those of the record. */
export const TIER_COLUMNS = [
  'name',
  'max_dim',
  'exit_blocks',
  'max_k',
  'requests_per_second',
  'burst',
  'max_concurrency',
  'plan',
  'overload',
] as const satisfies readonly (keyof Tier)[];

/** A tier (alias `t`) as one JSON value, for queries of what has a tier. */
export const TIER_AS_JSON = `jsonb_build_object(${TIER_COLUMNS.map((column) => `'${column}', t.${column}`).join(', ')})`;

const COLUMN_LIST = TIER_COLUMNS.join(', ');
const CHANGED = TIER_COLUMNS.slice(1)
  .map((column) => `${column} = excluded.${column}`)
  .join(', ');

/** All tiers, smallest dimension first (no limit last). */
export async function listTiers(db: Queryable): Promise<Tier[]> {
  const { rows } = await db.query<Tier & Record<string, unknown>>(
    `SELECT ${COLUMN_LIST} FROM tiers ORDER BY max_dim NULLS LAST, max_k, name`,
  );
  return rows;
}

/** Adds a tier, or replaces the one of that name; true where it was added. */
export async function upsertTier(db: Queryable, tier: Tier): Promise<boolean> {
  const { rows } = await db.query<{ added: boolean }>(
    `INSERT INTO tiers (${COLUMN_LIST}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (name) DO UPDATE SET ${CHANGED}
     RETURNING xmax = 0 AS added`,
    TIER_COLUMNS.map((column) => tier[column]),
  );
  return rows[0]!.added;
}

/** Adds the default tiers when there are none at all; a changed or removed tier stays so. */
export async function ensureDefaultTiers(db: Queryable): Promise<void> {
  await db.query(
    `INSERT INTO tiers (${COLUMN_LIST})
     SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::int[], $6::int[],
                          $7::int[], $8::text[], $9::text[])
     WHERE NOT EXISTS (SELECT 1 FROM tiers)
     ON CONFLICT (name) DO NOTHING`,
    TIER_COLUMNS.map((column) => DEFAULT_TIERS.map((tier) => tier[column])),
  );
}

/**
 * Removes a tier, and with it what is left of keys that ended; false where there is no such tier.
 * @throws TierInUse while a key that works has it
 */
export function removeTier(db: Database, name: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    const found = await tx.query('SELECT 1 FROM tiers WHERE name = $1 FOR UPDATE', [name]);
    if (found.rows.length === 0) return false;
    const { rows } = await tx.query<{ client: string }>(
      `SELECT DISTINCT client FROM api_keys
       WHERE tier = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
       ORDER BY client LIMIT 5`,
      [name],
    );
    if (rows.length > 0) {
      const clients = rows.map((row) => row.client).join(', ');
      throw new TierInUse({
        detail: `${name} is the tier of ${clients}; give them another one first (nestrec keys set --client NAME --tier TIER)`,
      });
    }
    await tx.query('DELETE FROM api_keys WHERE tier = $1', [name]);
    await tx.query('DELETE FROM tiers WHERE name = $1', [name]);
    return true;
  });
}
