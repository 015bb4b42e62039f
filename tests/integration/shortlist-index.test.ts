/** Shortlists by another index than the usual one, over HTTP on both databases: published by the setting, served from it. */
import {
  modelDetailAnswerSchema,
  recommendationsAnswerSchema,
  tiersAnswerSchema,
} from '@nestrec/contracts';
import { SHORTLIST_FORMS, shortlistIndexOf } from '@nestrec/publishing';
import { getVersion } from '@nestrec/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serveApi, type ServedApi } from '../helpers/api/served-api.js';
import { describeDatabases } from '../helpers/databases.js';
import { itemIdOf } from '../helpers/published-artifact.js';
import { waitFor } from '../helpers/wait-for.js';

describeDatabases('shortlists by bits', (database) => {
  let api: ServedApi;
  let key: string;
  beforeAll(async () => {
    api = await serveApi(database(), undefined, { shortlistForm: 'bit' });
    const limits = { max_k: 20, requests_per_second: null };
    for (const plan of ['staged', 'bound', 'exact'] as const) {
      const body = { ...limits, max_dim: plan === 'bound' ? 8 : 16, plan };
      expect((await api.call('PUT', `/v1/admin/tiers/${plan}`, body)).status).toBe(201);
    }
    key = await api.makeKey('staged', ['recommend']);
    expect((await api.call('POST', '/v1/models/v2/publish')).status).toBe(202);
    await waitFor('v2 to be published', async () => {
      const { json } = await api.call('GET', '/v1/models/v2');
      const { publish_run: run } = modelDetailAnswerSchema.parse(json);
      expect(run?.state, JSON.stringify(run)).not.toMatch(/refused|failed/);
      return run?.state === 'published';
    });
  }, 60_000);
  afterAll(() => api.stop());

  const ask = async (by: string) => {
    const body = { items: [itemIdOf(3)], explain: true, k: 20 };
    const reply = await api.call('POST', '/v1/sessions/recommendations', body, by);
    return recommendationsAnswerSchema.parse(reply.json);
  };

  it('are built where the setting asks for them, and the lists of a tier come from them', async () => {
    const { items, explain, served_by } = await ask(key);
    expect(served_by).toMatchObject({
      model_version: 'v2',
      plan: 'staged',
      dim: 16,
      degraded: null,
    });
    expect(explain!.index).toEqual({ kind: 'bit', metric: 'hamming', dim: 16 });
    const exact = await ask(await api.makeKey('exact', ['recommend']));
    expect(exact.served_by.plan).toBe('exact');
    expect(items).toEqual(exact.items);
  });

  it('are measured like any other', async () => {
    const { tiers } = tiersAnswerSchema.parse((await api.call('GET', '/v1/tiers')).json);
    const index = tiers.find(({ name }) => name === 'staged')!.index!;
    expect(index).toMatchObject({ dim: 16, plan: 'staged' });
    expect(index.recall_at_20).toBeGreaterThanOrEqual(0.95);
    expect(index.bytes).toBeGreaterThan(0);
  });

  it('leave the bound, which bits cannot give, to halves', async () => {
    const { served_by, explain } = await ask(await api.makeKey('bound', ['recommend']));
    expect(served_by).toMatchObject({ dim: 8, plan: 'bound' });
    expect(explain!.index).toMatchObject({ kind: 'halfvec', dim: 4 });
    const { indexes } = (await getVersion(database(), 'v2'))!;
    expect(new Set(indexes.map(({ kind }) => kind))).toEqual(new Set(['bit', 'halfvec']));
  });
});

describe('the forms that a setting can name', () => {
  it('are made of an index that can be built each', () => {
    expect(SHORTLIST_FORMS.map(shortlistIndexOf)).toEqual([
      { kind: 'halfvec' },
      { kind: 'vector' },
      { kind: 'bit' },
      { kind: 'halfvec', metric: 'reduced_l2' },
    ]);
  });
});
