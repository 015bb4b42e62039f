import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

const PATH = '/v1/items/i1/similar';
let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

describe('POST /v1/items/{id}/similar 422', () => {
  it.each([
    [{ filter: { field: 'brand', eq: 5 } }, 'filter.eq', '5', 'a text, as brand is'],
    [{ filter: {} }, 'filter', 'an object', 'exactly one of and, or, not, field'],
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

  it('what only lists for a user have is unknown here', async () => {
    for (const body of [{ exclude_seen: true }, { because: true }, { cursor: 'AQ' }]) {
      const reply = await api.call('POST', PATH, { body });
      expect(problemOf(reply)).toMatchObject({ status: 400, code: 'unknown_field' });
    }
  });
});
