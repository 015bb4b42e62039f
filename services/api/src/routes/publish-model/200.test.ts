import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refusedReport } from '../../../../../tests/helpers/api/fakes.js';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

describe('model versions', () => {
  it('GET lists them and names the one that answers', async () => {
    expect((await api.call('GET', '/v1/models')).json).toMatchObject({
      published: 'v1',
      previous: null,
      models: [
        { version: 'v1', status: 'candidate', sizes: [8, 16, 32, 64], items: 10 },
        { version: 'v2' },
      ],
    });
  });

  it('publishes a version, and rolls back from it once', async () => {
    const publish = await api.call('POST', '/v1/models/v2/publish');
    expect([publish.status, publish.json]).toEqual([200, { published: 'v2', previous: 'v1' }]);
    const rollback = await api.call('POST', '/v1/models/v2/rollback');
    expect([rollback.status, rollback.json]).toEqual([200, { published: 'v1', previous: null }]);
    const again = await api.call('POST', '/v1/models/v2/rollback');
    expect(problemOf(again)).toMatchObject({ status: 409, code: 'publish_refused' });
  });

  it('404 for a version that is not there, 422 for a name that no version can have', async () => {
    expect(problemOf(await api.call('POST', '/v1/models/v9/publish')).code).toBe('model_not_found');
    const name = encodeURIComponent('v1"; DROP TABLE items; --');
    const reply = await api.call('POST', `/v1/models/${name}/publish`);
    expect(problemOf(reply)).toMatchObject({ status: 422, code: 'invalid_request' });
  });

  it('409 with the reasons where the gate refuses it; force publishes it, and GET says who did', async () => {
    api.world.reports.set('v2', refusedReport('v2'));
    const refused = await api.call('POST', '/v1/models/v2/publish');
    expect(problemOf(refused)).toMatchObject({
      ...{ status: 409, code: 'publish_refused', detail: 'tiers up to 16: worse' },
    });
    const key = api.world.key({ client: 'ops', scopes: ['admin'] });
    const forced = await api.call('POST', '/v1/models/v2/publish?force=true', { key });
    expect(forced.status).toBe(200);
    const { json } = await api.call('GET', '/v1/models');
    const { models } = json as { models: { version: string; publish: unknown }[] };
    expect(models.find(({ version }) => version === 'v1')!.publish).toBeNull();
    expect(models.find(({ version }) => version === 'v2')!.publish).toMatchObject({
      ...{ outcome: 'published', reasons: ['tiers up to 16: worse'] },
      forced_by: expect.stringMatching(/^ops \(key \S+\)$/) as unknown,
    });
  });
});
