/**
 * What concerns all keys of one client: how many may work at once, their rotation, their common tier.
 *
 * A client is the name that its keys share. Its working keys have one tier, so that a limit of rate is the
 * client's and not a key's.
 */
import type { Scope } from '@nestrec/contracts';
import type { Database, Queryable } from '@nestrec/database';
import { ClientNotFound, excerpt, InvalidParameter, TooManyKeys } from '@nestrec/errors';
import { insertApiKey, listApiKeys, type ApiKey, type NewApiKey } from './api-keys.js';

/** One that works, and one that takes over from it. */
export const MAX_LIVE_KEYS = 2;

/** Keys are lived by the database's clock here, as their times of making are. */
const isLive = (key: ApiKey, nowMs: number) =>
  key.revokedAtMs === null && (key.expiresAtMs === null || key.expiresAtMs > nowMs);

interface Held {
  readonly live: readonly ApiKey[];
  readonly nowMs: number;
}

/** The working keys of a client, oldest first; who asks after it waits until the transaction ends. */
async function holdClient(tx: Queryable, client: string): Promise<Held> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('client ' || $1, 0))`, [client]);
  const { rows } = await tx.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  const nowMs = rows[0]!.now.getTime();
  const keys = await listApiKeys(tx, client);
  return { live: keys.filter((key) => isLive(key, nowMs)), nowMs };
}

/**
 * Makes a key; `key` is the only copy there will ever be.
 * @throws InvalidParameter when the tier does not exist or is not the client's, TooManyKeys
 */
export function createApiKey(
  db: Database,
  request: NewApiKey,
): Promise<{ key: string; publicId: string }> {
  return db.transaction(async (tx) => {
    const { live } = await holdClient(tx, request.client);
    refuseThird(request.client, live);
    const other = live.find((key) => key.tier.name !== request.tier);
    if (other !== undefined) {
      throw new InvalidParameter({
        detail: `tier: got ${excerpt(request.tier)}, wanted ${other.tier.name}, the tier of the client's other key; change it for both (nestrec keys set --client NAME --tier TIER), or name another client`,
      });
    }
    return insertApiKey(tx, request);
  });
}

function refuseThird(client: string, live: readonly ApiKey[]): void {
  if (live.length < MAX_LIVE_KEYS) return;
  const ids = live.map((key) => key.publicId).join(' and ');
  throw new TooManyKeys({
    detail: `${excerpt(client)} has ${live.length} keys that work (${ids}), wanted at most ${MAX_LIVE_KEYS}; revoke one, or wait until one expires`,
  });
}

export interface Rotation {
  readonly client: string;
  /** How long the present key still works, ms. */
  readonly overlapMs: number;
}

/**
 * Makes a key like the client's present one, and lets that one expire after the overlap.
 * @throws ClientNotFound without a key that works, TooManyKeys where a rotation is under way already
 */
export function rotateApiKey(
  db: Database,
  { client, overlapMs }: Rotation,
): Promise<{ key: string; publicId: string; replaced: string }> {
  return db.transaction(async (tx) => {
    const { live, nowMs } = await holdClient(tx, client);
    const [present] = live;
    if (present === undefined) throw unknownClient(client);
    refuseThird(client, live);
    const made = await insertApiKey(tx, {
      client,
      tier: present.tier.name,
      scopes: present.scopes,
      // A key that was given for a time is not made one for ever by its client.
      ...(present.expiresAtMs === null ? {} : { expiresAtMs: present.expiresAtMs }),
    });
    const endMs = Math.min(present.expiresAtMs ?? Infinity, nowMs + overlapMs);
    await tx.query('UPDATE api_keys SET expires_at = $2 WHERE public_id = $1', [
      present.publicId,
      new Date(endMs),
    ]);
    return { ...made, replaced: present.publicId };
  });
}

export interface ClientChange {
  /** Name of an existing tier. */
  readonly tier?: string;
  readonly scopes?: readonly Scope[];
}

/**
 * Changes the keys of a client that work; resolves to them as they are now.
 * @throws ClientNotFound without a key that works, InvalidParameter when the tier does not exist
 */
export function changeClient(
  db: Database,
  client: string,
  change: ClientChange,
): Promise<ApiKey[]> {
  return db.transaction(async (tx) => {
    const { live } = await holdClient(tx, client);
    if (live.length === 0) throw unknownClient(client);
    const ids = live.map((key) => key.publicId);
    const { rowCount } = await tx.query(
      `UPDATE api_keys SET tier = coalesce($2, tier), scopes = coalesce($3, scopes)
       WHERE public_id = ANY ($1) AND ($2::text IS NULL OR EXISTS (SELECT 1 FROM tiers WHERE name = $2))`,
      [ids, change.tier ?? null, change.scopes ?? null],
    );
    if (rowCount === 0) {
      throw new InvalidParameter({
        detail: `tier: got ${excerpt(change.tier)}, wanted the name of a tier that exists`,
      });
    }
    return (await listApiKeys(tx, client)).filter((key) => ids.includes(key.publicId));
  });
}

function unknownClient(client: string) {
  return new ClientNotFound({
    detail: `client: got ${excerpt(client)}, wanted one that nestrec keys list shows with a key that works`,
  });
}
