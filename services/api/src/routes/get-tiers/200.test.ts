import { DEFAULT_TIERS } from '@nestrec/contracts';
import { describe, expect, it } from 'vitest';
import { refusedReport } from '../../../../../tests/helpers/api/fakes.js';
import { startApi } from '../../../../../tests/helpers/api/harness.js';

const [basic, standard, full] = DEFAULT_TIERS;

const unmeasured = { ndcg_at_10: null, recall_at_10: null, index: null };

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
          ...unmeasured,
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
        { ...standard, dim: 64, bytes_per_item: 256, ...unmeasured, quality: [] },
        { ...full, dim: 64, bytes_per_item: 256, ...unmeasured, quality: [] },
      ],
    });
    expect(unpublished.json).toMatchObject({
      model_version: null,
      tiers: [{ dim: null, bytes_per_item: null, quality: [] }, {}, {}],
    });
  });

  it('tells what publishing measured of a size: quality with intervals, and how it is searched', async () => {
    const api = await startApi();
    const report = refusedReport('v1');
    api.world.reports.set('v1', report);
    const { json } = await api.call('GET', '/v1/tiers');
    await api.stop();
    const [tier, other] = (json as { tiers: Record<string, unknown>[] }).tiers;
    expect(tier).toMatchObject({
      ndcg_at_10: { mean: 0.3, low: 0.29, high: 0.31 },
      recall_at_10: { mean: 0.4 },
      index: { dim: 16, plan: 'prefix', recall_at_20: 0.98, p95_ms: 1.5, bytes: 4_096 },
    });
    expect(other).toMatchObject({ dim: 64, ...unmeasured });
  });
});
