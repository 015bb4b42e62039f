import { DEFAULT_TIERS, type TierAnswer } from '@nestrec/contracts';
import { describe, expect, it } from 'vitest';
import { refusedReport } from '../../../../../tests/helpers/api/fakes.js';
import type { StoredModel } from '../../deps.js';
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
          exit: null,
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
        { ...standard, dim: 64, exit: null, bytes_per_item: 256, ...unmeasured, quality: [] },
        { ...full, dim: 64, exit: null, bytes_per_item: 256, ...unmeasured, quality: [] },
      ],
    });
    expect(unpublished.json).toMatchObject({
      model_version: null,
      tiers: [{ dim: null, bytes_per_item: null, quality: [] }, {}, {}],
    });
  });

  it('tells the exit that a tier is served at, with what was measured there, or none where it gets the full depth', async () => {
    const api = await startApi();
    const [{ manifest }] = api.world.models as [StoredModel];
    const at = (mean: number) => ({ mean, low: mean - 0.1, high: mean + 0.1 });
    const size = (dim: number, mean: number) => ({
      ...{ limit: dim, dim, publishedDim: null, ndcg10: at(mean), recall10: at(mean) },
      ...{ popularity: 0, overPopularity: at(mean), published: null, overPublished: null },
    });
    Object.assign(manifest.config, { blocks: 2, exits: [{ blocks: 1, dim: 16 }] });
    manifest.quality.push({ ...manifest.quality[0]!, scorer: 'exit1@16', blocks: 1, cases: 4 });
    manifest.evaluation = {
      ...{ protocol: 'leave-one-out', validationFrom: null, testFrom: null, against: null },
      ...{ cases: 5, users: 5, comparedCases: 0, comparedUsers: 0, sizes: [size(16, 0.5)] },
      exits: [{ blocks: 1, sizes: [size(16, 0.4)] }],
    };
    for (const [name, max_dim, exit_blocks] of [
      ['early', 16, 1],
      ['wide', 64, 1],
      ['other', 16, 3],
    ] as const) {
      await api.world.deps.tiers.put({ ...basic!, name, max_dim, exit_blocks });
    }
    const { tiers } = (await api.call('GET', '/v1/tiers')).json as { tiers: TierAnswer[] };
    await api.stop();
    const told = (name: string) => {
      const { exit, ndcg_at_10, quality } = tiers.find((tier) => tier.name === name)!;
      return [exit, ndcg_at_10?.mean, quality.map(({ cases }) => cases)];
    };
    expect(told('early')).toEqual([{ blocks: 1, dim: 16 }, 0.4, [4]]);
    // No exit at its size, and no such exit: full depth.
    expect(told('wide')).toEqual([null, undefined, []]);
    expect(told('other')).toEqual([null, 0.5, [5]]);
    expect(told('basic')).toEqual([null, 0.5, [5]]);
  });

  it('tells what was measured of each tier’s own plan when its indexes were built last', async () => {
    const api = await startApi();
    const measured = { p50Ms: 1, p95Ms: 2, queries: 100, shortlist: null, efSearch: 50 };
    const index = { kind: 'vector', metric: 'inner_product', m: 16, efConstruction: 100 } as const;
    api.world.measured = {
      indexes: [
        { ...index, name: 'own', dim: 16, bytes: 10, buildMs: 1 },
        { ...index, name: 'half', dim: 8, bytes: 5, buildMs: 1 },
      ],
      plans: [
        { ...measured, dim: 16, plan: 'exact', index: null, recallAt20: 1, p95Ms: 9, bytes: 0 },
        { ...measured, dim: 16, plan: 'prefix', index: 'own', recallAt20: 0.97, bytes: 10 },
        {
          ...measured,
          dim: 16,
          plan: 'staged',
          index: 'half',
          recallAt20: 0.96,
          p50Ms: 3,
          bytes: 5,
        },
      ],
    };
    // Newer than the report of the publish, which is not asked then.
    api.world.reports.set('v1', refusedReport('v1'));
    const tiersOf = async () =>
      ((await api.call('GET', '/v1/tiers')).json as { tiers: TierAnswer[] }).tiers;
    for (const plan of ['exact', 'staged'] as const) {
      await api.world.deps.tiers.put({ ...basic!, name: plan, plan });
    }
    const byName = new Map((await tiersOf()).map((tier) => [tier.name, tier.index]));
    await api.stop();
    expect(byName.get('basic')).toEqual({
      ...{ dim: 16, plan: 'prefix', recall_at_20: 0.97, p95_ms: 2, bytes: 10 },
    });
    expect(byName.get('exact')).toMatchObject({ plan: 'exact', recall_at_20: 1, p95_ms: 9 });
    expect(byName.get('staged')).toMatchObject({ plan: 'staged', recall_at_20: 0.96, bytes: 5 });
    expect(byName.get('full')).toBeNull();
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
