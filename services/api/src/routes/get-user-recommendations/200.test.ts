import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

const PATH = '/v1/users/u1/recommendations';
let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());
beforeEach(() => {
  api.world.queries.length = 0;
});

describe('GET /v1/users/{id}/recommendations 200', () => {
  it('gives ten items and says what served them', async () => {
    const reply = await api.call('GET', PATH);
    expect(reply.status).toBe(200);
    expect(reply.json).toMatchObject({
      items: Array.from({ length: 10 }, (_, i) => ({ rank: i + 1 })),
      served_by: { model_version: 'v1', dim: 64, fallback: null },
    });
  });

  it('passes on what was asked, within the limits of the tier', async () => {
    const key = api.world.key({ tier: 'basic' });
    await api.call('GET', `${PATH}?k=3&dim=8&exclude_seen=false`, { key });
    expect(api.world.queries).toEqual([
      {
        ...{ userId: 'u1', k: 3, dim: 8, maxDim: 16, exitBlocks: null },
        ...{ plan: 'auto', stepsDown: 0, excludeSeen: false },
      },
    ]);
  });

  it('leaves out seen items, and takes the greatest dimension, unless told otherwise', async () => {
    await api.call('GET', PATH);
    expect(api.world.queries).toEqual([
      {
        userId: 'u1',
        k: 10,
        dim: undefined,
        maxDim: null,
        exitBlocks: null,
        plan: 'auto',
        stepsDown: 0,
        excludeSeen: true,
      },
    ]);
  });

  it.each(['tier', 'client_id', 'is_admin', 'max_dim', 'x-tier'])(
    'gives a caller no more for sending %s in a header',
    async (header) => {
      const key = api.world.key({ tier: 'basic' });
      await api.call('GET', PATH, { key, headers: { [header]: 'full' } });
      expect(api.world.queries[0]).toMatchObject({ maxDim: 16 });
    },
  );

  it('takes an id that looks like a path, and percent signs, as they are', async () => {
    const userId = '../../etc/passwd?k=1#%41 é';
    await api.call('GET', `/v1/users/${encodeURIComponent(userId)}/recommendations`);
    expect(api.world.queries[0]).toMatchObject({ userId });
  });

  it('waits with after until the events are in the state', async () => {
    const body = { events: [{ user_id: 'u1', item_id: 'i1' }] };
    const { token } = (await api.call('POST', '/v1/events', { body })).json as { token: string };
    api.world.applied = 0n;
    expect((await api.call('GET', `${PATH}?after=${token}`)).status).toBe(503);
    api.world.applied = 1n;
    expect((await api.call('GET', `${PATH}?after=${token}`)).status).toBe(200);
  });

  it('answers HEAD with the headers of GET and no body', async () => {
    const reply = await api.call('HEAD', PATH);
    expect(reply.status).toBe(200);
    expect(reply.text).toBe('');
    expect(Number(reply.headers.get('content-length'))).toBeGreaterThan(100);
  });
});
