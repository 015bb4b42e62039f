import { manualClock, type ManualClock } from '@nestrec/runtime';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemoryClaims, type ClaimStore, type Window } from './claim-store.js';
import { createClientLimiter, type ClientLimiter, type RatePolicy } from './client-limiter.js';

const POLICY: RatePolicy = { quota: 200, windowMs: 2_000 };
const START_MS = 1_000_000;

/** A store by the tests' clock, that counts what it is asked and can be away. */
function createStore() {
  const sums = new Map<string, number>();
  const nameOf = ({ key, index }: Window) => `${key}:${index}`;
  const store = { asked: 0, isAway: false };
  const answer = (act: () => number) => {
    store.asked++;
    return store.isAway ? Promise.reject(new Error('away')) : Promise.resolve(act());
  };
  const claims: ClaimStore = {
    add: (window, tokens) =>
      answer(() => {
        const sum = (sums.get(nameOf(window)) ?? 0) + tokens;
        sums.set(nameOf(window), sum);
        return sum;
      }),
    read: (window) => answer(() => sums.get(nameOf(window)) ?? 0),
  };
  return Object.assign(store, { claims });
}

interface Shared {
  readonly clock: ManualClock;
  readonly store: ReturnType<typeof createStore>;
  readonly failures: unknown[];
  process(options?: { maxClients?: number }): ClientLimiter;
}

function share(): Shared {
  const clock = manualClock(START_MS);
  const store = createStore();
  const failures: unknown[] = [];
  return {
    ...{ clock, store, failures },
    process: (options = {}) =>
      createClientLimiter({
        ...options,
        store: store.claims,
        fallback: createStore().claims,
        clock,
        storeTimeoutMs: 10_000,
        onStoreFailure: (error) => failures.push(error),
      }),
  };
}

/** How many of `count` requests at once are admitted. */
async function burst(limiter: ClientLimiter, count: number, client = 'shop', policy = POLICY) {
  const verdicts = await Promise.all(
    Array.from({ length: count }, () => limiter.take(client, policy)),
  );
  return verdicts.filter(({ admitted }) => admitted).length;
}

describe('createClientLimiter', () => {
  it('admits a burst of the quota at once, and no more, however many processes share it', async () => {
    const { process } = share();
    const admitted = await Promise.all([burst(process(), 500), burst(process(), 500)]);
    expect(admitted[0]! + admitted[1]!).toBe(POLICY.quota);
  });

  it('keeps clients apart', async () => {
    const limiter = share().process();
    expect(await burst(limiter, 300, 'one')).toBe(POLICY.quota);
    expect(await burst(limiter, 300, 'other')).toBe(POLICY.quota);
  });

  it('does not double a burst at the edge of a window', async () => {
    const { clock, process } = share();
    const limiter = process();
    clock.advance(POLICY.windowMs - 1);
    expect(await burst(limiter, 500)).toBe(POLICY.quota);
    clock.advance(1);
    expect(await burst(limiter, 500)).toBe(0);
  });

  it('admits the sustained rate to who never stops asking', async () => {
    const { clock, process } = share();
    const limiters = [process(), process()];
    let admitted = 0;
    for (let ms = 0; ms < 20_000; ms += 20) {
      for (const limiter of limiters) admitted += await burst(limiter, 4);
      clock.advance(20);
    }
    // 100 a second for 20 s, and the first burst.
    expect(admitted).toBeLessThanOrEqual(2_200);
    expect(admitted).toBeGreaterThan(1_900);
  });

  it('never admits more than quota and rate allow in any stretch of time, whatever the arrivals', async () => {
    const arrival = fc.record({
      afterMs: fc.integer({ min: 0, max: 700 }),
      process: fc.integer({ min: 0, max: 1 }),
      count: fc.integer({ min: 1, max: 90 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(arrival, { maxLength: 40 }), async (arrivals) => {
        const { clock, process } = share();
        const limiters = [process(), process()];
        const admitted: { atMs: number; count: number }[] = [];
        for (const one of arrivals) {
          clock.advance(one.afterMs);
          const count = await burst(limiters[one.process]!, one.count);
          admitted.push({ atMs: clock.now(), count });
        }
        for (let from = 0; from < admitted.length; from++) {
          let sum = 0;
          for (const { atMs, count } of admitted.slice(from)) {
            sum += count;
            const stretch = (atMs - admitted[from]!.atMs) / POLICY.windowMs;
            expect(sum).toBeLessThanOrEqual(Math.ceil(POLICY.quota * (1 + stretch)));
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it('forgets nothing when a process is killed and started again', async () => {
    const { process } = share();
    expect(await burst(process(), 150)).toBe(150);
    const left = await burst(process(), 500);
    // What the killed one had claimed and not spent is lost: at most a chunk.
    expect(left).toBeLessThanOrEqual(50);
    expect(left).toBeGreaterThanOrEqual(40);
  });

  it('says when a request will be admitted, and keeps its word', async () => {
    const { clock, process } = share();
    const limiter = process();
    for (const [n, atMs] of [0, 700, 1_999].entries()) {
      clock.set(START_MS + (n + 1) * 100 * POLICY.windowMs + atMs);
      await burst(limiter, 500);
      const { admitted, retryAfterMs } = await limiter.take('shop', POLICY);
      expect(admitted).toBe(false);
      expect(retryAfterMs).toBeGreaterThan(0);
      clock.advance(retryAfterMs);
      expect((await limiter.take('shop', POLICY)).admitted).toBe(true);
    }
  });

  it('asks the store for few of the requests, and for none of a client that has nothing left', async () => {
    const { store, process } = share();
    const limiter = process();
    await burst(limiter, POLICY.quota);
    // A look at the window before, claims of a chunk each, the last one given back.
    expect(store.asked).toBeLessThan(POLICY.quota / 3);
    await burst(limiter, 1);
    const { asked } = store;
    expect(await burst(limiter, 1_000)).toBe(0);
    expect(store.asked).toBe(asked);
  });

  it('limits alone while the store is away, says so, and asks it again', async () => {
    const { clock, store, failures, process } = share();
    const limiter = process();
    store.isAway = true;
    expect(await burst(limiter, 500)).toBe(POLICY.quota);
    expect(failures.length).toBeGreaterThan(0);
    store.isAway = false;
    clock.advance(10 * POLICY.windowMs);
    const { asked } = store;
    expect(await burst(limiter, 1)).toBe(1);
    expect(store.asked).toBeGreaterThan(asked);
  });

  it('begins anew with the limits of another tier', async () => {
    const limiter = share().process();
    await burst(limiter, 500);
    expect(await burst(limiter, 500, 'shop', { quota: 20, windowMs: 2_000 })).toBe(20);
  });

  it('keeps no more clients than it may; who is forgotten gets no more for it', async () => {
    const { process } = share();
    const limiter = process({ maxClients: 10 });
    expect(await burst(limiter, 500, 'first')).toBe(POLICY.quota);
    for (let n = 0; n < 100; n++) await burst(limiter, 1, `other ${n}`);
    expect(limiter.size).toBeGreaterThan(4);
    expect(limiter.size).toBeLessThanOrEqual(10);
    expect(await burst(limiter, 500, 'first')).toBe(0);
  });
});

describe('createMemoryClaims', () => {
  it('counts by key and window, and takes back', async () => {
    const claims = createMemoryClaims();
    const window = { key: 'shop', windowMs: 60_000, index: 7 };
    expect(await claims.read(window)).toBe(0);
    expect(await claims.add(window, 5)).toBe(5);
    expect(await claims.add(window, -2)).toBe(3);
    expect(await claims.read(window)).toBe(3);
    expect(await claims.read({ ...window, index: 8 })).toBe(0);
  });
});
