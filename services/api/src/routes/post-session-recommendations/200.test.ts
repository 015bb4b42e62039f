import { DEFAULT_TIERS } from '@nestrec/contracts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

const PATH = '/v1/sessions/recommendations';
let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());
beforeEach(() => {
  api.world.queries.length = 0;
});

describe('POST /v1/sessions/recommendations 200', () => {
  it('passes on the items in their order', async () => {
    const reply = await api.call('POST', PATH, {
      body: { items: ['i7', 'i1', 'i7'], k: 2, dim: 8 },
    });
    expect(reply.status).toBe(200);
    expect(api.world.queries).toEqual([
      {
        items: ['i7', 'i1', 'i7'],
        k: 2,
        dim: 8,
        maxDim: null,
        exitBlocks: null,
        plan: 'auto',
        stepsDown: 0,
        excludeSeen: true,
      },
    ]);
  });

  it('gives a session that has had nothing yet a list too', async () => {
    const reply = await api.call('POST', PATH, { body: { items: [] } });
    expect(reply.status).toBe(200);
    expect((reply.json as { items: unknown[] }).items).toHaveLength(10);
  });

  it('gives a tier whose k is small its own k where none is asked', async () => {
    const key = api.world.key({ tier: { ...DEFAULT_TIERS[0]!, max_dim: 8, max_k: 3 } });
    await api.call('POST', PATH, { key, body: { items: [] } });
    expect(api.world.queries).toMatchObject([{ k: 3, maxDim: 8 }]);
  });
});
