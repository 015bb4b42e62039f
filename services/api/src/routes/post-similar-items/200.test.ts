import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

const PATH = '/v1/items/i1/similar';
const FILTER = { not: { field: 'brand', eq: 'acme' } };
let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());
beforeEach(() => {
  api.world.queries.length = 0;
});

describe('POST /v1/items/{id}/similar 200', () => {
  it('passes on what the items have to match and which are to be left out', async () => {
    const body = { k: 5, dim: 8, explain: true, filter: FILTER, exclude: ['i2', 'i3'] };
    expect((await api.call('POST', PATH, { body })).status).toBe(200);
    expect(api.world.queries).toMatchObject([{ ...body, itemId: 'i1' }]);
  });

  it('is GET where nothing is asked, and GET takes the filter as JSON text', async () => {
    await api.call('POST', PATH, { body: {} });
    await api.call('GET', PATH);
    expect(api.world.queries[0]).toEqual(api.world.queries[1]);
    const text = encodeURIComponent(JSON.stringify(FILTER));
    expect((await api.call('GET', `${PATH}?filter=${text}`)).status).toBe(200);
    expect(api.world.queries[2]).toMatchObject({ filter: FILTER });
  });
});
