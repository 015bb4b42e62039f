/**
 * From an Authorization header to the client behind it. Every failure is the same 401, whatever its cause;
 * only the metric tells causes apart.
 *
 * What the store said about a key is believed for `cacheMs`: a revocation by another process acts within
 * that time, one by this process at once. The cache holds hashes of keys, never keys.
 */
import { hash } from 'node:crypto';
import { Unauthorized } from '@nestrec/errors';
import type { Clock } from '@nestrec/runtime';
import { publicIdOf, type ApiKey, type KeyLookup } from '@nestrec/storage';
import type { KeyStore } from '../deps.js';

const MAX_CACHED_KEYS = 10_000;
const BEARER = /^Bearer +(\S+)$/i;

export type AuthFailure = 'missing' | 'malformed' | 'unknown' | 'expired' | 'revoked';

export interface Authenticator {
  /** @throws Unauthorized; `noteFailure` is told why, for the log */
  authenticate(
    authorization: string | undefined,
    noteFailure?: (reason: AuthFailure) => void,
  ): Promise<ApiKey>;
  /** Whether the header holds a key that was found lately: no look-up, and no judgement. */
  remembers(authorization: string | undefined): boolean;
  /** Drops what is remembered of one key. */
  forget(publicId: string): void;
  forgetAll(): void;
}

interface CacheEntry {
  readonly untilMs: number;
  readonly publicId: string;
  readonly lookup: Promise<KeyLookup>;
  /** What the look-up found; false until then. */
  isValid: boolean;
}

/** Keys are remembered by their hash only. */
const nameOf = (text: string) => hash('sha256', text, 'base64');

export function createAuthenticator(options: {
  readonly store: Pick<KeyStore, 'find'>;
  readonly clock: Clock;
  readonly cacheMs: number;
  readonly onFailure: (reason: AuthFailure) => void;
}): Authenticator {
  const { store, clock, cacheMs, onFailure } = options;
  const cache = new Map<string, CacheEntry>();

  const refuse = (reason: AuthFailure, noteFailure?: (reason: AuthFailure) => void) => {
    onFailure(reason);
    noteFailure?.(reason);
    return new Unauthorized({ detail: 'Send a valid key as Authorization: Bearer KEY.' });
  };
  const find = (text: string, publicId: string): Promise<KeyLookup> => {
    const nowMs = clock.now();
    const name = nameOf(text);
    const known = cache.get(name);
    // A clock that was set back must not make what was found live longer.
    const isFresh =
      known !== undefined && nowMs < known.untilMs && nowMs >= known.untilMs - cacheMs;
    if (isFresh) return known.lookup;
    const lookup = store.find(text, nowMs);
    cache.delete(name);
    if (cache.size >= MAX_CACHED_KEYS) cache.delete(cache.keys().next().value!);
    // What was known of the key stays known while it is looked up again: its client is no stranger meanwhile.
    const isValid = known?.isValid ?? false;
    const entry: CacheEntry = { untilMs: nowMs + cacheMs, publicId, lookup, isValid };
    cache.set(name, entry);
    lookup.then(
      (found) => {
        entry.isValid = found.outcome === 'valid';
      },
      // A look-up that failed must not be the answer to the next requests.
      () => cache.delete(name),
    );
    return lookup;
  };

  return {
    async authenticate(authorization, note) {
      if (authorization === undefined) throw refuse('missing', note);
      const text = BEARER.exec(authorization)?.[1];
      const publicId = text === undefined ? null : publicIdOf(text);
      if (text === undefined || publicId === null) throw refuse('malformed', note);
      const found = await find(text, publicId);
      if (found.outcome !== 'valid') throw refuse(found.outcome, note);
      const { expiresAtMs } = found.key;
      if (expiresAtMs !== null && expiresAtMs <= clock.now()) throw refuse('expired', note);
      return found.key;
    },
    remembers: (authorization) => {
      const text = BEARER.exec(authorization ?? '')?.[1];
      return text !== undefined && cache.get(nameOf(text))?.isValid === true;
    },
    forget: (publicId) => {
      for (const [name, entry] of cache) if (entry.publicId === publicId) cache.delete(name);
    },
    forgetAll: () => cache.clear(),
  };
}
