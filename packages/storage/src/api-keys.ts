/**
 * API keys: stored, found, listed, revoked. Only hashes are stored; a key is shown when it is made.
 * What concerns all keys of a client is in `clients.ts`.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Scope, Tier } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import { excerpt, InvalidParameter } from '@nestrec/errors';
import { generateApiKey, hashApiKey, publicIdOf } from './api-key-format.js';
import { TIER_AS_JSON } from './tiers.js';

export interface ApiKey {
  readonly publicId: string;
  readonly client: string;
  readonly tier: Tier;
  readonly scopes: readonly Scope[];
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number | null;
  /** To the minute; null where it was never used, or before that was noted. */
  readonly lastUsedAtMs: number | null;
}

interface KeyRow extends Record<string, unknown> {
  public_id: string;
  client: string;
  hash: Uint8Array;
  tier: Tier;
  scopes: Scope[];
  created_at: Date;
  expires_at: Date | null;
  revoked_at: Date | null;
  last_used_at: Date | null;
}

const SELECT_KEYS = `
  SELECT k.public_id, k.client, k.hash, ${TIER_AS_JSON} AS tier, k.scopes, k.created_at,
         k.expires_at, k.revoked_at, k.last_used_at
  FROM api_keys k JOIN tiers t ON t.name = k.tier`;

const toApiKey = (row: KeyRow): ApiKey => ({
  publicId: row.public_id,
  client: row.client,
  tier: row.tier,
  scopes: row.scopes,
  createdAtMs: row.created_at.getTime(),
  expiresAtMs: row.expires_at?.getTime() ?? null,
  revokedAtMs: row.revoked_at?.getTime() ?? null,
  lastUsedAtMs: row.last_used_at?.getTime() ?? null,
});

export interface NewApiKey {
  readonly client: string;
  /** Name of an existing tier. */
  readonly tier: string;
  readonly scopes: readonly Scope[];
  readonly expiresAtMs?: number;
}

/**
 * Stores a new key, however many its client has: for `clients.ts`, which asks first.
 * @throws InvalidParameter when the tier does not exist
 */
export async function insertApiKey(
  db: Queryable,
  request: NewApiKey,
): Promise<{ key: string; publicId: string }> {
  const { key, publicId, hash } = generateApiKey();
  const { rowCount } = await db.query(
    `INSERT INTO api_keys (public_id, client, hash, tier, scopes, expires_at)
     SELECT $1, $2, $3, name, $5, $6 FROM tiers WHERE name = $4`,
    [
      publicId,
      request.client,
      hash,
      request.tier,
      request.scopes,
      request.expiresAtMs === undefined ? null : new Date(request.expiresAtMs),
    ],
  );
  if (rowCount === 0) {
    throw new InvalidParameter({
      detail: `tier: got ${excerpt(request.tier)}, wanted the name of a tier that exists`,
    });
  }
  return { key, publicId };
}

export type KeyLookup =
  | { readonly outcome: 'valid'; readonly key: ApiKey }
  | { readonly outcome: 'malformed' | 'unknown' | 'expired' | 'revoked' };

/** Looks a presented key up. The outcomes other than `valid` are for logs: clients get one answer. */
export async function findApiKey(
  db: Queryable,
  presented: string,
  nowMs: number,
): Promise<KeyLookup> {
  const publicId = publicIdOf(presented);
  if (publicId === null) return { outcome: 'malformed' };
  const { rows } = await db.query<KeyRow>(`${SELECT_KEYS} WHERE k.public_id = $1`, [publicId]);
  const row = rows[0];
  if (!row || !timingSafeEqual(row.hash, hashApiKey(presented))) return { outcome: 'unknown' };
  const key = toApiKey(row);
  if (key.revokedAtMs !== null) return { outcome: 'revoked' };
  if (key.expiresAtMs !== null && key.expiresAtMs <= nowMs) return { outcome: 'expired' };
  return { outcome: 'valid', key };
}

/** All keys, or those of one client, oldest first, revoked ones included. */
export async function listApiKeys(db: Queryable, client?: string): Promise<ApiKey[]> {
  const { rows } = await db.query<KeyRow>(
    `${SELECT_KEYS} WHERE $1::text IS NULL OR k.client = $1 ORDER BY k.created_at, k.public_id`,
    [client ?? null],
  );
  return rows.map(toApiKey);
}

/** Notes that a key was used; who calls it does so at most once a minute for a key. */
export async function touchApiKey(db: Queryable, publicId: string): Promise<void> {
  await db.query('UPDATE api_keys SET last_used_at = now() WHERE public_id = $1', [publicId]);
}

/** Revokes a key for good; false when there is no such key. Revoking twice keeps the first time. */
export async function revokeApiKey(db: Queryable, publicId: string): Promise<boolean> {
  const { rowCount } = await db.query(
    'UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE public_id = $1',
    [publicId],
  );
  return rowCount > 0;
}
