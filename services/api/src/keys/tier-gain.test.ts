/**
 * D2: nothing that a caller sends raises its tier. Requests are made from the names and values that such
 * attacks use, in every place of a request; what the recommender is asked for then is the tier's, or nothing.
 *
 * GAIN_REQUESTS sets how many (1,000 here; `npm run test:security` takes 5,000), GAIN_SEED repeats a run.
 */
import { DEFAULT_TIERS } from '@nestrec/contracts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../tests/helpers/api/harness.js';

const REQUESTS = Number(process.env['GAIN_REQUESTS'] ?? 1_000);
const SEED = process.env['GAIN_SEED'];
const BASIC = { maxDim: 16, maxK: 20 };

const NAMES = [
  ...['tier', 'dim', 'max_dim', 'maxDim', 'k', 'max_k', 'limit', 'plan', 'stepsDown', 'stepDown'],
  ...['client', 'client_id', 'is_admin', 'admin', 'role', 'scopes', 'requests_per_second', 'burst'],
  ...[
    '__proto__',
    'constructor',
    'prototype',
    'served_by',
    'X-Tier',
    'X-Client-Id',
    'X-Forwarded-For',
    'X-HTTP-Method-Override',
    'If-None-Match',
  ],
];
const VALUES: unknown[] = [
  ...[
    'full',
    'admin',
    'true',
    true,
    null,
    64,
    32,
    17,
    16,
    8,
    100,
    21,
    20,
    0,
    -1,
    1e9,
    '64',
    '16',
    '',
  ],
  ...[['full'], [64], [16, 64], { tier: 'full' }, { max_dim: 64 }, { maxDim: null }],
];

let api: ApiHarness;
let key: string;
beforeAll(async () => {
  api = await startApi();
  // Its rate is another test's matter.
  const basic = DEFAULT_TIERS.find(({ name }) => name === 'basic')!;
  await api.world.deps.tiers.put({ ...basic, requests_per_second: null, burst: null });
  key = api.world.key({ tier: 'basic', client: 'basic', scopes: ['recommend'] });
  await api.call('PUT', '/v1/items/i1', { body: { title: 'One' } });
});
afterAll(() => api.stop());

const pair = fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...VALUES));
const text = (value: unknown) =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? '');

/** JSON by hand: an object cannot hold a key twice, and `__proto__` would vanish in one. */
const jsonOf = (isSession: boolean, pairs: [string, unknown][]) =>
  `{${[...(isSession ? [['items', ['i1']] as [string, unknown]] : []), ...pairs]
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    .join(',')}}`;

const LISTS = '/v1/users/u1/recommendations';
const SESSIONS = '/v1/sessions/recommendations';

const attack = fc.record({
  route: fc.constantFrom(
    ['GET', LISTS] as const,
    ['GET', '/v1/items/i1/similar'] as const,
    ['POST', LISTS] as const,
    ['POST', SESSIONS] as const,
  ),
  query: fc.array(pair, { maxLength: 3 }),
  headers: fc.array(pair, { maxLength: 2 }),
  body: fc.array(pair, { maxLength: 3 }),
  isArrayStyle: fc.boolean(),
  isAfterRicher: fc.boolean(),
});

interface Entitled {
  readonly items: readonly unknown[];
  readonly served_by: { readonly dim: number };
}

describe('what a caller sends', () => {
  it(
    `raises its tier in 0 of ${REQUESTS} generated requests`,
    async () => {
      let sent = 0;
      let answered = 0;
      await fc.assert(
        fc.asyncProperty(
          attack,
          async ({ route, query, headers, body, isArrayStyle, isAfterRicher }) => {
            api.world.queries.length = 0;
            const search = query
              .map(
                ([name, value]) =>
                  `${name}${isArrayStyle ? '[]' : ''}=${encodeURIComponent(text(value))}`,
              )
              .join('&');
            const [method, path] = route;
            if (isAfterRicher) {
              // What a richer client was told a moment ago is nobody else's.
              await api.call('GET', `${LISTS}?k=100`);
              api.world.queries.length = 0;
            }
            const reply = await api.call(method, search === '' ? path : `${path}?${search}`, {
              key,
              headers: Object.fromEntries(
                headers.map(([name, value]) => [name, encodeURIComponent(text(value))]),
              ),
              ...(method === 'POST' ? { body: jsonOf(path === SESSIONS, body) } : {}),
            });
            sent++;
            for (const { k, maxDim, stepsDown, plan } of api.world.queries) {
              expect(k).toBeLessThanOrEqual(BASIC.maxK);
              expect({ maxDim, stepsDown, plan }).toEqual({
                maxDim: 16,
                stepsDown: 0,
                plan: 'auto',
              });
            }
            if (reply.status === 200) {
              answered++;
              const { items, served_by } = reply.json as Entitled;
              const asked = [...query, ...(method === 'POST' ? body : [])];
              expect(served_by.dim).toBeLessThanOrEqual(BASIC.maxDim);
              if (!asked.some(([name]) => name === 'dim')) expect(served_by.dim).toBe(BASIC.maxDim);
              expect(items.length).toBeLessThanOrEqual(BASIC.maxK);
              expect(reply.headers.get('etag')).toBeNull();
              expect(reply.headers.get('cache-control')).toBe('no-store');
            } else {
              expect([400, 403, 422]).toContain(reply.status);
            }
          },
        ),
        { numRuns: REQUESTS, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
      );
      expect(sent).toBe(REQUESTS);
      // A test in which all is refused would prove nothing.
      expect(answered).toBeGreaterThan(REQUESTS / 20);
    },
    REQUESTS * 100,
  );

  it.each([17, 32, 64, 4_096])('gets 403 for dim %i above the tier', async (dim) => {
    const reply = await api.call('GET', `/v1/users/u1/recommendations?dim=${dim}`, { key });
    expect(problemOf(reply)).toMatchObject({ status: 403, code: 'dimension_not_allowed' });
  });
});
