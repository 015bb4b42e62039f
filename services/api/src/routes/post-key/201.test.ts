import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NOW_MS } from '../../../../../tests/helpers/api/fakes.js';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

const PATH = '/v1/admin/keys';
let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

describe('/v1/admin/keys', () => {
  it('shows a new key once; it works at once, and stops at once when it is revoked', async () => {
    const body = { client: 'shop', tier: 'standard', scopes: ['recommend', 'recommend'] };
    const made = await api.call('POST', PATH, { body });
    expect(made.status).toBe(201);
    const { key, ...shown } = made.json as { key: string; id: string };
    expect(shown).toEqual({
      id: expect.any(String) as string,
      client: 'shop',
      tier: 'standard',
      scopes: ['recommend'],
      created_at: new Date(NOW_MS).toISOString(),
      expires_at: null,
      revoked_at: null,
      last_used_at: null,
    });
    expect((await api.call('GET', '/v1/tiers', { key })).status).toBe(200);
    const list = await api.call('GET', PATH);
    expect((list.json as { keys: unknown[] }).keys).toContainEqual(shown);
    expect(list.text).not.toContain(key);

    expect((await api.call('DELETE', `${PATH}/${shown.id}`)).status).toBe(204);
    expect((await api.call('GET', '/v1/tiers', { key })).status).toBe(401);
    expect((await api.call('DELETE', `${PATH}/${shown.id}`)).status).toBe(204);
  });

  it('takes a time of expiry to come', async () => {
    const expires_at = new Date(NOW_MS + 1_000).toISOString();
    const body = { client: 'shop', tier: 'basic', scopes: ['recommend'], expires_at };
    expect((await api.call('POST', PATH, { body })).json).toMatchObject({ expires_at });
  });

  it.each([
    ['an unknown tier', { tier: 'gold' }, 422, 'tier'],
    ['an unknown scope', { scopes: ['root'] }, 422, 'scopes[0]'],
    ['no scope', { scopes: [] }, 422, 'scopes'],
    ['a time that is over', { expires_at: '2026-01-01T00:00:00Z' }, 422, 'expires_at'],
    ['a key of its own choice', { key: 'x' }, 400, 'key'],
    ['a client with a control character', { client: 'a\u0007' }, 400, 'client'],
  ])('refuses %s', async (_name, change, status, path) => {
    const body = { client: 'shop', tier: 'basic', scopes: ['recommend'], ...change };
    const problem = problemOf(await api.call('POST', PATH, { body }));
    expect(problem.status).toBe(status);
    expect(problem.errors.map((error) => error.path)).toContain(path);
  });

  it('404 for an id that no key has', async () => {
    const problem = problemOf(await api.call('DELETE', `${PATH}/nobody`));
    expect(problem).toMatchObject({ status: 404, code: 'key_not_found' });
  });
});
