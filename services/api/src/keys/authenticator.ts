/**
 * From an Authorization header to the client behind it. Every failure is the same 401, whatever its cause;
 * only the metric tells causes apart.
 *
 * What the store said about a key is believed for `cacheMs`: a revocation by another process acts within
 * that time, one by this process at once. The cache holds hashes of keys, never keys.
 */
import { Unauthorized } from '@nestrec/errors';
import type { Clock } from '@nestrec/runtime';
import { hashApiKey, publicIdOf, type ApiKey, type KeyLookup } from '@nestrec/storage';
import type { KeyStore } from '../deps.js';

const MAX_CACHED_KEYS = 10_000;
const BEARER = /^Bearer +(\S+)$/i;

export type AuthFailure = 'missing' | 'malformed' | 'unknown' | 'expired' | 'revoked';

export interface Authenticator {
  /** @throws Unauthorized */
  authenticate(authorization: string | undefined): Promise<ApiKey>;
  /** Drops what is remembered of one key. */
  forget(publicId: string): void;
}

interface CacheEntry {
  readonly untilMs: number;
  readonly publicId: string;
  readonly lookup: Promise<KeyLookup>;
}

export function createAuthenticator(options: {
  readonly store: Pick<KeyStore, 'find'>;
  readonly clock: Clock;
  readonly cacheMs: number;
  readonly onFailure: (reason: AuthFailure) => void;
}): Authenticator {
  const { store, clock, cacheMs, onFailure } = options;
  const cache = new Map<string, CacheEntry>();

  const refuse = (reason: AuthFailure) => {
    onFailure(reason);
    return new Unauthorized({ detail: 'Send a valid key as Authorization: Bearer KEY.' });
  };
  const find = (text: string, publicId: string): Promise<KeyLookup> => {
    const nowMs = clock.now();
    const name = Buffer.from(hashApiKey(text)).toString('base64');
    const known = cache.get(name);
    if (known !== undefined && nowMs < known.untilMs) return known.lookup;
    const lookup = store.find(text, nowMs);
    cache.delete(name);
    if (cache.size >= MAX_CACHED_KEYS) cache.delete(cache.keys().next().value!);
    cache.set(name, { untilMs: nowMs + cacheMs, publicId, lookup });
    // A look-up that failed must not be the answer to the next requests.
    lookup.catch(() => cache.delete(name));
    return lookup;
  };

  return {
    async authenticate(authorization) {
      if (authorization === undefined) throw refuse('missing');
      const text = BEARER.exec(authorization)?.[1];
      const publicId = text === undefined ? null : publicIdOf(text);
      if (text === undefined || publicId === null) throw refuse('malformed');
      const found = await find(text, publicId);
      if (found.outcome !== 'valid') throw refuse(found.outcome);
      const { expiresAtMs } = found.key;
      if (expiresAtMs !== null && expiresAtMs <= clock.now()) throw refuse('expired');
      return found.key;
    },
    forget: (publicId) => {
      for (const [name, entry] of cache) if (entry.publicId === publicId) cache.delete(name);
    },
  };
}
