import { describe, expect, it } from 'vitest';
import { problemOf, startApi } from '../../../../../tests/helpers/api/harness.js';

describe('GET /v1/items/{id}/similar', () => {
  it('200: ranks the items near an item, without seen-item rules', async () => {
    const api = await startApi();
    const reply = await api.call('GET', '/v1/items/i1/similar?k=2');
    const refused = await api.call('GET', '/v1/items/i1/similar?exclude_seen=true');
    const absent = await api.call('GET', '/v1/items/i404/similar');
    await api.stop();
    expect(reply.status).toBe(200);
    expect(api.world.queries).toEqual([
      {
        ...{ itemId: 'i1', k: 2, dim: undefined, maxDim: null, exitBlocks: null },
        ...{ plan: 'auto', stepsDown: 0 },
      },
    ]);
    expect(problemOf(refused).code).toBe('invalid_parameter');
    expect(problemOf(absent)).toMatchObject({ status: 404, code: 'item_not_found' });
  });
});
