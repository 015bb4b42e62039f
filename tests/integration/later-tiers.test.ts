/**
 * Tiers that are made or changed after the publish, over HTTP on both databases: what they are served, what
 * GET /v1/tiers says of it, and how they get an index without a training.
 */
import {
  modelDetailAnswerSchema,
  recommendationsAnswerSchema,
  tiersAnswerSchema,
  type TierRequest,
} from '@nestrec/contracts';
import { getVersion } from '@nestrec/storage';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { serveApi, type ServedApi } from '../helpers/api/served-api.js';
import { describeDatabases } from '../helpers/databases.js';
import { itemIdOf } from '../helpers/published-artifact.js';
import { waitFor } from '../helpers/wait-for.js';

describeDatabases('a tier that came after the publish', (database) => {
  let api: ServedApi;
  let key: string;
  beforeAll(async () => {
    api = await serveApi(database());
    // With the tiers that are there by now: all of them are served 16 dimensions.
    await publish('v2', '?force=true');
    await setTier({ max_dim: 8, plan: 'prefix' });
    key = await api.makeKey('late', ['recommend']);
  }, 60_000);
  afterAll(() => api.stop());

  const publish = async (version: string, query = '') => {
    const path = `/v1/models/${version}`;
    expect((await api.call('POST', `${path}/publish${query}`)).status).toBe(202);
    await waitFor(`${version} to be published`, async () => {
      const { publish_run: run } = modelDetailAnswerSchema.parse(
        (await api.call('GET', path)).json,
      );
      expect(run?.state, JSON.stringify(run)).not.toMatch(/refused|failed/);
      return run?.state === 'published';
    });
  };
  const setTier = async (limits: Pick<TierRequest, 'max_dim' | 'plan'>) => {
    const body = { ...limits, max_k: 20, requests_per_second: null };
    const { status } = await api.call('PUT', '/v1/admin/tiers/late', body);
    expect([200, 201]).toContain(status);
  };
  const ask = async () => {
    const body = { items: [itemIdOf(3)], explain: true };
    const reply = await api.call('POST', '/v1/sessions/recommendations', body, key);
    return recommendationsAnswerSchema.parse(reply.json);
  };
  const tierOf = async (name: string) => {
    const { tiers } = tiersAnswerSchema.parse((await api.call('GET', '/v1/tiers')).json);
    return tiers.find((tier) => tier.name === name)!;
  };

  it('is served at its own size by reading all of it, and GET /v1/tiers says that nothing is measured', async () => {
    const { served_by, explain } = await ask();
    expect(served_by).toMatchObject({ model_version: 'v2', dim: 8, plan: 'exact' });
    expect(explain!.reason).toBe('no index serves 8 dimensions');
    expect(await tierOf('late')).toMatchObject({ dim: 8, bytes_per_item: 32, index: null });
    expect((await tierOf('full')).index).toMatchObject({ dim: 16 });
  });

  it('gets its index when the served version is published again, which processes take at once', async () => {
    await publish('v2');
    await waitFor('the index to serve', async () => (await ask()).served_by.plan === 'prefix');
    expect((await ask()).served_by).toMatchObject({ model_version: 'v2', dim: 8 });
    const { index } = await tierOf('late');
    expect(index).toMatchObject({ dim: 8, plan: 'prefix' });
    expect(index!.recall_at_20).toBeGreaterThanOrEqual(0.95);
    expect(index!.p95_ms).toBeGreaterThan(0);
    expect(index!.bytes).toBeGreaterThan(0);
    expect((await tierOf('full')).index).toMatchObject({ dim: 16 });
  });

  it('whose plan changes is served by what there is, and by its plan once published again', async () => {
    await setTier({ max_dim: 8, plan: 'staged' });
    await waitFor('the change to act', async () => (await ask()).explain!.wanted === 'staged');
    expect((await ask()).served_by.plan).toBe('prefix');
    expect((await tierOf('late')).index).toMatchObject({ plan: 'prefix' });
    await publish('v2');
    await waitFor('the plan to serve', async () => (await ask()).served_by.plan === 'staged');
    expect((await tierOf('late')).index).toMatchObject({ dim: 8, plan: 'staged' });
    expect((await getVersion(database(), 'v2'))!.plans.map(({ dim }) => dim)).toEqual([8, 16]);
  });
});
