import { DEFAULT_TIERS } from '@nestrec/contracts';
import { describe, expect, it } from 'vitest';
import { startApi } from '../../../../../tests/helpers/api/harness.js';

const [basic, standard, full] = DEFAULT_TIERS;

describe('GET /v1/tiers 200', () => {
  it('names for each tier the size it gets, its bytes per item and its measured quality', async () => {
    const api = await startApi();
    const reply = await api.call('GET', '/v1/tiers', {
      key: api.world.key({ scopes: ['recommend'] }),
    });
    api.world.published = null;
    const unpublished = await api.call('GET', '/v1/tiers');
    await api.stop();
    expect(reply.json).toEqual({
      model_version: 'v1',
      tiers: [
        {
          ...basic,
          dim: 16,
          bytes_per_item: 64,
          quality: [
            {
              protocol: 'leave-one-out',
              part: 'test',
              seen_masked: true,
              cases: 5,
              metrics: { 'ndcg@10': 0.5 },
            },
          ],
        },
        { ...standard, dim: 64, bytes_per_item: 256, quality: [] },
        { ...full, dim: 64, bytes_per_item: 256, quality: [] },
      ],
    });
    expect(unpublished.json).toMatchObject({
      model_version: null,
      tiers: [{ dim: null, bytes_per_item: null, quality: [] }, {}, {}],
    });
  });
});
