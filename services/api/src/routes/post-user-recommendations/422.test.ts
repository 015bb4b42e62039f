import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

const PATH = '/v1/users/u1/recommendations';
const LEAF = { field: 'brand', eq: 'a' };
let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

describe('POST /v1/users/{id}/recommendations 422', () => {
  it.each([
    [{ filter: { field: 'brand', eq: 5 } }, 'filter.eq', '5', 'a text, as brand is'],
    [
      { filter: { and: [LEAF, { field: 'title', eq: 'x' }] } },
      'filter.and[1].field',
      '"title"',
      'item_id, brand, categories, available, or fields.NAME of at most 64 bytes',
    ],
    [{ filter: {} }, 'filter', 'an object', 'exactly one of and, or, not, field'],
    [{ boosts: [{ filter: LEAF, factor: 11 }] }, 'boosts[0].factor', '11', 'at most 10'],
    [{ diversity: 1.5 }, 'diversity', '1.5', 'at most 1'],
    [
      { exclude: Array.from({ length: 1_001 }, () => 'i') },
      'exclude',
      'a list of 1001',
      'at most 1000 entries',
    ],
  ])(
    '%j is refused with its place, what came and what was wanted',
    async (body, path, got, want) => {
      const reply = await api.call('POST', PATH, { body });
      expect(reply.status).toBe(422);
      expect(problemOf(reply).errors[0]).toEqual({ path, got, want });
    },
  );

  it('an operator that does not exist is an unknown field, in the body and in the URL', async () => {
    const filter = { field: 'brand', like: '%' };
    const body = await api.call('POST', PATH, { body: { filter } });
    expect(problemOf(body)).toMatchObject({
      ...{ status: 400, code: 'unknown_field' },
      errors: [{ path: 'filter.like', got: 'an unknown name' }],
    });
    const query = encodeURIComponent(JSON.stringify(filter));
    const url = await api.call('GET', `${PATH}?filter=${query}`);
    expect(problemOf(url)).toMatchObject({ status: 400, code: 'invalid_parameter' });
  });

  it.each([
    ['{"field":', 'syntax at character 9'],
    ['{"field":"brand","field":"brand"}', 'duplicate key at character 17'],
    ['{"__proto__":{}}', 'forbidden key at character 1'],
    [`${'[['.repeat(4)}`, 'too deep at character 7'],
  ])('GET with the filter %s says what is wrong with the JSON', async (text, got) => {
    const reply = await api.call('GET', `${PATH}?filter=${encodeURIComponent(text)}`);
    expect(problemOf(reply)).toMatchObject({
      ...{ status: 400, code: 'invalid_parameter' },
      errors: [{ path: 'filter', got }],
    });
  });

  it('the deepest filter that the language has fits into a body and a URL', async () => {
    const filter = { and: [{ or: [{ not: { field: 'brand', in: ['a'] } }] }] };
    expect((await api.call('POST', PATH, { body: { filter } })).status).toBe(200);
    const query = encodeURIComponent(JSON.stringify(filter));
    expect((await api.call('GET', `${PATH}?filter=${query}`)).status).toBe(200);
  });
});
