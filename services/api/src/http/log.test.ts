/** What the logs hold, and what neither logs nor answers may ever hold. */
import { createLogger } from '@nestrec/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { createFakeWorld } from '../../../../tests/helpers/api/fakes.js';
import { leaksIn } from '../../../../tests/helpers/api/leaks.js';
import { problemOf, startApi, type ApiHarness } from '../../../../tests/helpers/api/harness.js';
import type { ApiDeps } from '../deps.js';

let api: ApiHarness | null = null;
afterEach(async () => {
  await api?.stop();
  api = null;
});

async function startLogged(overrides: Partial<ApiDeps> = {}) {
  const lines: string[] = [];
  const logger = createLogger({
    name: 'api',
    level: 'debug',
    destination: { write: (line) => lines.push(line) },
  });
  api = await startApi({ logger, ...overrides });
  const parsed = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { api, text: () => lines.join(''), parsed };
}

const failing = (error: Error): ApiDeps['recommender'] => ({
  recommendForUser: () => Promise.reject(error),
  recommendForSession: () => Promise.reject(error),
  similarItems: () => Promise.reject(error),
});

describe('the access log', () => {
  it('has one line per request with id, template, status, time, client and version', async () => {
    const { api: one, parsed } = await startLogged();
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
    const reply = await one.call('GET', '/v1/users/u1/recommendations', { headers });
    await expect.poll(() => parsed().length).toBe(1);
    expect(reply.headers.get('x-request-id')).toBe(traceId);
    expect(parsed()[0]).toMatchObject({
      request_id: traceId,
      method: 'GET',
      route: '/v1/users/{id}/recommendations',
      status: 200,
      client_id: 'tests',
      model_version: 'v1',
      duration_ms: expect.any(Number) as number,
      user: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    });
  });

  it('says 499 where the client went before its answer', async () => {
    let answer = () => {};
    let asks = 0;
    const slow = failing(new Error('not asked'));
    const { api: one, parsed } = await startLogged({
      recommender: {
        ...slow,
        recommendForUser: () => {
          asks++;
          return new Promise((_resolve, reject) => (answer = () => reject(new Error('late'))));
        },
      },
    });
    const gone = new AbortController();
    const headers = { authorization: `Bearer ${one.world.key()}` };
    const call = fetch(`${one.url}/v1/users/u1/recommendations`, { headers, signal: gone.signal });
    await expect.poll(() => asks).toBe(1);
    gone.abort();
    await expect(call).rejects.toThrow();
    await expect.poll(() => parsed().map(({ status }) => status)).toEqual([499]);
    answer();
  });

  it('never holds keys, bodies, ids of users or URLs, also of requests that fail', async () => {
    const { api: one, text, parsed } = await startLogged({ settings: { logHashKey: 'k' } });
    const key = one.world.key();
    const secret = 'canary-secret';
    await one.call('GET', `/v1/users/${secret}/recommendations?after=${secret}`, { key });
    await one.call('POST', '/v1/events', {
      key,
      body: { events: [{ user_id: secret, item_id: secret, x: secret }] },
    });
    await one.call('POST', '/v1/events', { key, body: `{"${secret}": broken` });
    await one.call('GET', `/v1/items/${key}`, { key: null });
    await one.call('GET', `/v1/tiers?api_key=${secret}`, {
      key: `${key}x`,
      headers: { cookie: secret },
    });
    await expect.poll(() => parsed().length).toBe(5);
    expect(text()).not.toContain(secret);
    expect(text()).not.toContain(key.slice(8));
    expect(parsed().map((line) => line['code'])).toEqual([
      'invalid_request',
      'unknown_field',
      'invalid_json',
      'key_in_url',
      'key_in_url',
    ]);
  });

  it('gives a user the same hash for as long as the secret stands, and another under another', async () => {
    const hashWith = async (logHashKey: string) => {
      const { api: one, parsed } = await startLogged({ settings: { logHashKey } });
      await one.call('GET', '/v1/users/u1/recommendations');
      await expect.poll(() => parsed().length).toBe(1);
      await one.stop();
      return parsed()[0]!['user'];
    };
    const first = await hashWith('a');
    expect(await hashWith('a')).toBe(first);
    expect(await hashWith('b')).not.toBe(first);
  });
});

describe('faults of ours', () => {
  const cause = Object.assign(
    new Error('SELECT secret FROM users -- at /work/x.ts:1 password=hunter2'),
    { detail: 'canary-row', body: 'canary-body' },
  );

  it('answer 500 with nothing of the inside, and log the stack without what drivers hang on it', async () => {
    const { api: one, text, parsed } = await startLogged({ recommender: failing(cause) });
    const reply = await one.call('GET', '/v1/users/u1/recommendations');
    expect(problemOf(reply)).toEqual({
      type: 'urn:nestrec:error:internal_error',
      title: 'Something went wrong inside nestrec.',
      status: 500,
      code: 'internal_error',
      detail: 'Something went wrong inside nestrec.',
      errors: [],
      request_id: reply.headers.get('x-request-id'),
    });
    expect(leaksIn(reply.text)).toEqual([]);
    await expect.poll(() => parsed().length).toBe(2);
    const [error] = parsed();
    expect(error).toMatchObject({
      level: 50,
      code: 'internal_error',
      route: '/v1/users/{id}/recommendations',
      request_id: reply.headers.get('x-request-id'),
    });
    expect(JSON.stringify(error)).toContain('log.test.ts');
    expect(text()).not.toMatch(/canary-row|canary-body/);
  });

  it('log a repeated error a few times, then count it', async () => {
    const { api: one, parsed } = await startLogged({ recommender: failing(cause) });
    const ask = () => one.call('GET', '/v1/users/u1/recommendations');
    for (let i = 0; i < 30; i++) await ask();
    const errors = () => parsed().filter((line) => line['level'] === 50);
    expect(errors()).toHaveLength(5);
    one.world.clock.advance(10_000);
    await ask();
    expect(errors().slice(5)).toMatchObject([
      { msg: 'errors left out of the log', leftOut: 25, code: 'internal_error' },
      { msg: 'a request failed' },
    ]);
  });

  it('refuse to send an answer that is not what the document says', async () => {
    const { api: one, text } = await startLogged({
      tiers: {
        ...createFakeWorld().deps.tiers,
        list: async () => [{ name: 'x', max_dim: 1, max_k: 1, secret: 'canary' } as never],
      },
    });
    const reply = await one.call('GET', '/v1/tiers');
    expect(problemOf(reply).code).toBe('internal_error');
    expect(reply.text).not.toContain('canary');
    expect(text()).toContain('Unrecognized key');
  });
});

describe('headers of every answer', () => {
  it.each(['/healthz', '/v1/tiers', '/nowhere', '/docs'])('%s', async (path) => {
    const { api: one } = await startLogged();
    const { headers } = await one.call('GET', path, { key: null });
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('etag')).toBeNull();
    expect(headers.get('access-control-allow-origin')).toBeNull();
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  it.each([
    ['no traceparent', undefined],
    ['one of zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['one of version ff', 'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
    ['one with a line break in it', 'x%0d%0aSet-Cookie: a'],
  ])('a request with %s gets an id of its own', async (_name, traceparent) => {
    const { api: one } = await startLogged();
    const headers: Record<string, string> = traceparent === undefined ? {} : { traceparent };
    const ids = [];
    for (let i = 0; i < 2; i++) {
      ids.push((await one.call('GET', '/healthz', { headers })).headers.get('x-request-id'));
    }
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(ids[0]).not.toBe(ids[1]);
  });
});
