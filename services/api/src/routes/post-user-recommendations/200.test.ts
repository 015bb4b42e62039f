import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

const PATH = '/v1/users/u1/recommendations';
const FILTER = {
  and: [
    { field: 'brand', eq: 'acme' },
    { field: 'fields.price', lt: 10 },
  ],
};
let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());
beforeEach(() => {
  api.world.queries.length = 0;
});

describe('POST /v1/users/{id}/recommendations 200', () => {
  it('passes on everything that may be asked of a list', async () => {
    const options = {
      filter: FILTER,
      exclude: ['i1', 'i2'],
      boosts: [{ filter: { field: 'categories', eq: 'new' }, factor: 2.5 }],
      diversity: 0.3,
      cursor: 'AQ',
      because: true,
    };
    const body = { k: 5, dim: 8, exclude_seen: false, ...options };
    const reply = await api.call('POST', PATH, { body });
    expect(reply.status).toBe(200);
    expect(api.world.queries).toMatchObject([
      { ...options, userId: 'u1', k: 5, dim: 8, excludeSeen: false },
    ]);
  });

  it('is GET where nothing is asked', async () => {
    await api.call('POST', PATH, { body: {} });
    await api.call('GET', PATH);
    expect(api.world.queries[0]).toEqual(api.world.queries[1]);
  });

  it('GET takes the filter as JSON text, and numbers and truth values as such', async () => {
    const filter = encodeURIComponent(JSON.stringify(FILTER));
    const reply = await api.call('GET', `${PATH}?filter=${filter}&diversity=0.25&because=true`);
    expect(reply.status).toBe(200);
    expect(api.world.queries).toMatchObject([{ filter: FILTER, diversity: 0.25, because: true }]);
  });

  it('sessions take the same', async () => {
    const body = { items: ['i1'], filter: FILTER, diversity: 1 };
    await api.call('POST', '/v1/sessions/recommendations', { body });
    expect(api.world.queries).toMatchObject([{ items: ['i1'], filter: FILTER, diversity: 1 }]);
  });
});
