import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

describe('POST /v1/sessions/recommendations 422', () => {
  it('refuses k above the limit of the tier, and names both', async () => {
    const key = api.world.key({ tier: 'standard' });
    const reply = await api.call('POST', '/v1/sessions/recommendations', {
      key,
      body: { items: ['i1'], k: 51 },
    });
    expect(problemOf(reply).errors).toEqual([
      { path: 'k', got: '51', want: 'at most 50, the limit of the tier standard' },
    ]);
  });
});
