/** Tiers as stored; what they mean is in `contracts`. */
import { DEFAULT_TIERS, type Tier } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';

interface TierRow extends Record<string, unknown> {
  name: string;
  max_dim: number | null;
  max_k: number;
}

/** All tiers, smallest dimension first (no limit last). */
export async function listTiers(db: Queryable): Promise<Tier[]> {
  const { rows } = await db.query<TierRow>(
    'SELECT name, max_dim, max_k FROM tiers ORDER BY max_dim NULLS LAST, max_k, name',
  );
  return rows;
}

export async function upsertTier(db: Queryable, tier: Tier): Promise<void> {
  await db.query(
    `INSERT INTO tiers (name, max_dim, max_k) VALUES ($1, $2, $3)
     ON CONFLICT (name) DO UPDATE SET max_dim = excluded.max_dim, max_k = excluded.max_k`,
    [tier.name, tier.max_dim, tier.max_k],
  );
}

/** Adds the default tiers when there are none at all; a changed or removed tier stays so. */
export async function ensureDefaultTiers(db: Queryable): Promise<void> {
  await db.query(
    `INSERT INTO tiers (name, max_dim, max_k)
     SELECT * FROM unnest($1::text[], $2::int[], $3::int[])
     WHERE NOT EXISTS (SELECT 1 FROM tiers)
     ON CONFLICT (name) DO NOTHING`,
    [
      DEFAULT_TIERS.map((tier) => tier.name),
      DEFAULT_TIERS.map((tier) => tier.max_dim),
      DEFAULT_TIERS.map((tier) => tier.max_k),
    ],
  );
}
