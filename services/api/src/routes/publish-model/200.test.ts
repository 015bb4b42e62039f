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
    expect(publish.status).toBe(202);
    expect(publish.headers.get('location')).toBe('/v1/models/v2');
    const state = { version: 'v2', state: 'published', phase: 'swap', share: 1, code: null };
    expect(publish.json).toMatchObject(state);
    const model = await api.call('GET', '/v1/models/v2');
    expect(model.json).toMatchObject({ version: 'v2', items: 10, publish_run: state });
    expect((await api.call('GET', '/v1/models/v1')).json).toMatchObject({ publish_run: null });
    const rollback = await api.call('POST', '/v1/models/v2/rollback');
    expect([rollback.status, rollback.json]).toEqual([200, { published: 'v1', previous: null }]);
    const again = await api.call('POST', '/v1/models/v2/rollback');
    expect(problemOf(again)).toMatchObject({ status: 409, code: 'publish_refused' });
  });

  it('404 for a version that is not there, 422 for a name that no version can have', async () => {
    expect(problemOf(await api.call('POST', '/v1/models/v9/publish')).code).toBe('model_not_found');
    expect(problemOf(await api.call('GET', '/v1/models/v9')).code).toBe('model_not_found');
    const name = encodeURIComponent('v1"; DROP TABLE items; --');
    const reply = await api.call('POST', `/v1/models/${name}/publish`);
    expect(problemOf(reply)).toMatchObject({ status: 422, code: 'invalid_request' });
  });

  it('ends refused with the reasons where the gate refuses it; force publishes it, and GET says who did', async () => {
    api.world.reports.set('v2', refusedReport('v2'));
    await api.call('POST', '/v1/models/v2/publish');
    expect((await api.call('GET', '/v1/models/v2')).json).toMatchObject({
      publish_run: { state: 'refused', code: 'publish_refused', detail: 'tiers up to 16: worse' },
    });
    const key = api.world.key({ client: 'ops', scopes: ['admin'] });
    const forced = await api.call('POST', '/v1/models/v2/publish?force=true', { key });
    expect(forced.status).toBe(202);
    const { json } = await api.call('GET', '/v1/models');
    const { models } = json as { models: { version: string; publish: unknown }[] };
    expect(models.find(({ version }) => version === 'v1')!.publish).toBeNull();
    expect(models.find(({ version }) => version === 'v2')!.publish).toMatchObject({
      ...{ outcome: 'published', reasons: ['tiers up to 16: worse'] },
      forced_by: expect.stringMatching(/^ops \(key \S+\)$/) as unknown,
    });
  });
});
