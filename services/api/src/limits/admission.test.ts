/** The limits as clients meet them: headers, problems, what is counted and what is not. */
import { DEFAULT_TIERS, type Tier } from '@nestrec/contracts';
import { afterEach, describe, expect, it } from 'vitest';
import {
  problemOf,
  startApi,
  type ApiHarness,
  type Reply,
} from '../../../../tests/helpers/api/harness.js';

const TIER: Tier = {
  ...DEFAULT_TIERS[0]!,
  ...{
    name: 'small',
    requests_per_second: 2,
    burst: 20,
    max_concurrency: 3,
    overload: 'step_down',
  },
};
const PATH = '/v1/users/u1/recommendations';

let api: ApiHarness;
afterEach(() => api.stop());

const metricsOf = async () => (await api.call('GET', '/metrics', { key: null })).text;
const statusesOf = (replies: readonly Reply[]) => replies.map((reply) => reply.status);

async function sequence(count: number, send: (n: number) => Promise<Reply>): Promise<Reply[]> {
  const replies: Reply[] = [];
  for (let n = 0; n < count; n++) replies.push(await send(n));
  return replies;
}

describe('a client with a limit of rate', () => {
  it('gets its quota over all its keys, sees it shrink, and is told when to come back', async () => {
    api = await startApi();
    const keys = [1, 2].map(() => api.world.key({ tier: TIER, client: 'shop' }));
    const replies = await sequence(25, (n) => api.call('GET', '/v1/tiers', { key: keys[n % 2]! }));
    expect(statusesOf(replies)).toEqual([...Array(20).fill(200), ...Array(5).fill(429)]);
    expect(replies[0]!.headers.get('ratelimit-policy')).toBe('"client";q=20;w=10');
    const left = replies.map(({ headers }) =>
      Number(/r=(\d+)/.exec(headers.get('ratelimit')!)![1]),
    );
    expect(left.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, n) => 19 - n));
    const refused = replies.at(-1)!;
    expect(problemOf(refused)).toMatchObject({
      ...{ status: 429, code: 'rate_limited' },
      detail: expect.stringContaining('2 requests a second and 20 at once') as string,
    });
    const retryAfterSeconds = Number(refused.headers.get('retry-after'));
    expect(retryAfterSeconds).toBeGreaterThanOrEqual(1);
    expect(await metricsOf()).toContain('rec_rate_limited_total{tier="small",reason="rate"} 5');

    api.world.clock.advance(retryAfterSeconds * 1_000);
    expect((await api.call('GET', '/v1/tiers', { key: keys[0]! })).status).toBe(200);
  });

  it('has its requests counted that its scopes refuse, and no headers without a limit', async () => {
    api = await startApi();
    const key = api.world.key({ tier: TIER, client: 'shop', scopes: ['recommend'] });
    const replies = await sequence(21, () => api.call('GET', '/v1/admin/keys', { key }));
    expect(statusesOf(replies)).toEqual([...Array(20).fill(403), 429]);
    const unlimited = await api.call('GET', '/v1/tiers');
    expect(unlimited.headers.get('ratelimit')).toBeNull();
  });

  it('may have so many requests in flight at once', async () => {
    const waiting: (() => void)[] = [];
    api = await startApi();
    const { recommender } = api.world.deps;
    const ask = recommender.recommendForUser;
    Object.assign(recommender, {
      recommendForUser: async (query: Parameters<typeof ask>[0]) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return ask(query);
      },
    });
    const key = api.world.key({ tier: TIER, client: 'shop' });
    const held = [1, 2, 3].map(() => api.call('GET', PATH, { key }));
    await expect.poll(() => waiting.length).toBe(3);
    const fourth = await api.call('GET', PATH, { key });
    expect(problemOf(fourth)).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(fourth.headers.get('retry-after')).toBe('1');
    for (const go of waiting) go();
    expect(statusesOf(await Promise.all(held))).toEqual([200, 200, 200]);
    const next = api.call('GET', PATH, { key });
    await expect.poll(() => waiting.length).toBe(4);
    waiting[3]!();
    expect((await next).status).toBe(200);
  });
});

describe('requests without a valid key', () => {
  const LIMIT = 10;
  const start = async (trustedProxies: string[] = []) => {
    api = await startApi({ settings: { addressLimit: LIMIT, trustedProxies } });
  };
  const stray = (from: string) =>
    api.call('GET', '/v1/tiers', { key: null, headers: { 'x-forwarded-for': from } });

  it('are limited by the address of the peer, whatever X-Forwarded-For says', async () => {
    await start();
    const replies = await sequence(LIMIT + 5, (n) => stray(`203.0.113.${n}`));
    expect(statusesOf(replies)).toEqual([...Array(LIMIT).fill(401), ...Array(5).fill(429)]);
    expect(Number(replies.at(-1)!.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await api.call('GET', '/nowhere', { key: null })).status).toBe(429);
    expect((await api.call('GET', '/healthz', { key: null })).status).toBe(200);
  });

  it('are limited by what a trusted proxy says, where one is configured', async () => {
    await start(['127.0.0.1', '::1']);
    const replies = await sequence(LIMIT + 5, (n) => stray(`203.0.113.${n}`));
    expect(new Set(statusesOf(replies))).toEqual(new Set([401]));
    const same = await sequence(LIMIT + 1, () => stray('198.51.100.1'));
    expect(same.at(-1)!.status).toBe(429);
  });

  it('do not lock out a known client behind the same address', async () => {
    await start();
    const key = api.world.key({ tier: 'full' });
    expect((await api.call('GET', '/v1/tiers', { key })).status).toBe(200);
    await sequence(LIMIT + 1, () => stray(''));
    expect((await api.call('GET', '/v1/tiers', { key })).status).toBe(200);
  });
});

describe('under overload', () => {
  const IN_FLIGHT = 4;
  /** An API whose recommender waits until it is let go. */
  async function startSlow() {
    const settings = { maxInFlight: IN_FLIGHT, maxLoopDelayMs: 150, stepMs: 250, recoverMs: 1_000 };
    api = await startApi({ settings: { overload: settings }, readLoopDelayMs: () => 0 });
    const { recommender } = api.world.deps;
    const ask = recommender.recommendForUser;
    const waiting: (() => void)[] = [];
    const slow = { on: true };
    Object.assign(recommender, {
      recommendForUser: async (query: Parameters<typeof ask>[0]) => {
        if (slow.on) await new Promise<void>((resolve) => waiting.push(resolve));
        const answer = await ask(query);
        const { stepsDown } = query;
        const dim = [64, 32, 16][stepsDown]!;
        const degraded = stepsDown === 0 ? null : { reason: 'overload' as const, dim: 64 };
        return { ...answer, served_by: { ...answer.served_by, dim, degraded } };
      },
    });
    return { waiting, slow };
  }

  it('serves a smaller size and says so, then refuses with Retry-After, and recovers', async () => {
    const { waiting, slow } = await startSlow();
    const held = Array.from({ length: IN_FLIGHT }, () => api.call('GET', PATH));
    await expect.poll(() => waiting.length).toBe(IN_FLIGHT);
    slow.on = false;
    const servedNow = async () => {
      const reply = await api.call('GET', PATH);
      api.world.clock.advance(250);
      return reply;
    };
    const replies = await sequence(4, servedNow);
    expect(statusesOf(replies)).toEqual([200, 200, 503, 503]);
    expect(replies[0]!.json).toMatchObject({
      served_by: { dim: 32, degraded: { reason: 'overload', dim: 64 } },
    });
    expect(replies[1]!.json).toMatchObject({ served_by: { dim: 16 } });
    expect(problemOf(replies[2]!)).toMatchObject({ code: 'overloaded' });
    expect(replies[2]!.headers.get('retry-after')).toBe('1');
    const metrics = await metricsOf();
    expect(metrics).toContain('rec_overloaded_total{tier="full",action="stepped_down"} 2');
    expect(metrics).toContain('rec_overloaded_total{tier="full",action="refused"} 2');

    for (const go of waiting) go();
    expect(new Set(statusesOf(await Promise.all(held)))).toEqual(new Set([200]));
    api.world.clock.advance(4_000);
    expect((await servedNow()).json).toMatchObject({ served_by: { dim: 64, degraded: null } });
  });

  it('refuses a tier at once whose policy is to refuse', async () => {
    const { waiting } = await startSlow();
    const key = api.world.key({ tier: { ...DEFAULT_TIERS[2]!, overload: 'refuse' } });
    const held = Array.from({ length: IN_FLIGHT }, () => api.call('GET', PATH, { key }));
    await expect.poll(() => waiting.length).toBe(IN_FLIGHT);
    expect((await api.call('GET', PATH, { key })).status).toBe(503);
    for (const go of waiting) go();
    await Promise.all(held);
  });
});
