import { isError, Unauthorized } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { createFakeWorld } from '../../../../tests/helpers/api/fakes.js';
import type { KeyStore } from '../deps.js';
import { createAuthenticator, type AuthFailure } from './authenticator.js';

const CACHE_MS = 1_000;

function setUp() {
  const world = createFakeWorld();
  let lookups = 0;
  const failures: AuthFailure[] = [];
  let broken = false;
  const store: Pick<KeyStore, 'find'> = {
    find: async (text, nowMs) => {
      lookups++;
      if (broken) throw new Error('the store is away');
      return world.deps.keys.find(text, nowMs);
    },
  };
  const authenticator = createAuthenticator({
    store,
    clock: world.clock,
    cacheMs: CACHE_MS,
    onFailure: (reason) => failures.push(reason),
  });
  return {
    world,
    failures,
    authenticator,
    lookups: () => lookups,
    breakStore: (value: boolean) => {
      broken = value;
    },
    outcome: async (key: string) => {
      try {
        return (await authenticator.authenticate(`Bearer ${key}`)).client;
      } catch (error) {
        return isError(error, Unauthorized) ? failures.at(-1) : 'other error';
      }
    },
  };
}

describe('createAuthenticator', () => {
  it('lets a revocation by another process act within the lifetime of the cache', async () => {
    const { world, outcome } = setUp();
    const key = world.key();
    expect(await outcome(key)).toBe('tests');
    world.revoke(key);
    world.clock.advance(CACHE_MS - 1);
    expect(await outcome(key)).toBe('tests');
    world.clock.advance(1);
    expect(await outcome(key)).toBe('revoked');
  });

  it('does not let a clock that is set back keep a revoked key alive', async () => {
    const { world, outcome } = setUp();
    const key = world.key();
    expect(await outcome(key)).toBe('tests');
    world.revoke(key);
    world.clock.advance(-3_600_000);
    expect(await outcome(key)).toBe('revoked');
  });

  it('remembers a client while its key is looked up again', async () => {
    const { world, authenticator, outcome } = setUp();
    const key = world.key();
    await outcome(key);
    world.clock.advance(CACHE_MS);
    const again = authenticator.authenticate(`Bearer ${key}`);
    expect(authenticator.remembers(`Bearer ${key}`)).toBe(true);
    world.revoke(key);
    await again;
    world.clock.advance(CACHE_MS);
    await outcome(key);
    expect(authenticator.remembers(`Bearer ${key}`)).toBe(false);
  });

  it('lets a revocation by this process act at once', async () => {
    const { world, authenticator, outcome } = setUp();
    const key = world.key();
    await outcome(key);
    world.revoke(key);
    const { publicId } = (await world.deps.keys.list())[0]!;
    authenticator.forget(publicId);
    expect(await outcome(key)).toBe('revoked');
  });

  it('expires a key on time, also while it is cached', async () => {
    const { world, outcome } = setUp();
    const key = world.key({ expiresAtMs: world.clock.now() + 10 });
    expect(await outcome(key)).toBe('tests');
    world.clock.advance(10);
    expect(await outcome(key)).toBe('expired');
  });

  it('asks the store once for many requests with one key, and never for text without a checksum', async () => {
    const { world, outcome, lookups } = setUp();
    const key = world.key();
    await Promise.all(Array.from({ length: 50 }, () => outcome(key)));
    expect(lookups()).toBe(1);
    expect(await outcome(`${key}x`)).toBe('malformed');
    expect(await outcome('rk_live_guess')).toBe('malformed');
    expect(lookups()).toBe(1);
  });

  it('does not keep the failure of the store as an answer', async () => {
    const { world, outcome, breakStore } = setUp();
    const key = world.key();
    breakStore(true);
    expect(await outcome(key)).toBe('other error');
    breakStore(false);
    expect(await outcome(key)).toBe('tests');
  });
});
