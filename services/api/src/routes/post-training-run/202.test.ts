import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';
import type { TrainingRunAnswer } from '@nestrec/contracts';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const post = (body: unknown) => api.call('POST', '/v1/training-runs', { body });

describe('POST /v1/training-runs', () => {
  it('202: queues a full training that publishes, and says where to look', async () => {
    const reply = await post({});
    const run = reply.json as TrainingRunAnswer;
    expect(reply.status).toBe(202);
    expect(run).toMatchObject({
      ...{ status: 'queued', mode: 'full', publish: true, options: {}, requested_by: 'api:tests' },
      ...{ holder: null, progress: null, version: null, published: false, reason: null },
    });
    const location = reply.headers.get('location')!;
    expect((await api.call('GET', location)).json).toEqual(run);
  });

  it('202: takes a mode, options, and that the candidate is not to be published', async () => {
    const body = {
      mode: 'incremental',
      publish: false,
      options: { sizes: [4, 8], epochs: 3, preset: 'fast', seed: 0, protocol: 'temporal' },
    };
    expect((await post(body)).json).toMatchObject(body);
  });

  it.each([
    [{ mode: 'half' }, 'mode'],
    [{ options: { sizes: [8, 4] } }, 'options.sizes'],
    [{ options: { epochs: 0 } }, 'options.epochs'],
    [{ publish: 'yes' }, 'publish'],
  ])('422: %j is refused by the name of the field', async (body, path) => {
    const problem = problemOf(await post(body));
    expect(problem).toMatchObject({ status: 422, code: 'invalid_request' });
    expect(problem.errors.map((error) => error.path)).toContain(path);
  });
});

describe('GET and DELETE /v1/training-runs', () => {
  it('200: lists the newest first, as many as asked for', async () => {
    await post({ mode: 'query_only' });
    const { runs } = (await api.call('GET', '/v1/training-runs?limit=1')).json as {
      runs: TrainingRunAnswer[];
    };
    expect(runs.map(({ mode }) => mode)).toEqual(['query_only']);
  });

  it('200: calls a run off', async () => {
    const { id } = (await post({})).json as TrainingRunAnswer;
    const reply = await api.call('DELETE', `/v1/training-runs/${id}`);
    expect([reply.status, (reply.json as TrainingRunAnswer).status]).toEqual([200, 'cancelled']);
  });

  it.each(['GET', 'DELETE'])('%s 404: there is no such run; 422: that is no id', async (method) => {
    const absent = await api.call(method, '/v1/training-runs/999');
    expect(problemOf(absent)).toMatchObject({ status: 404, code: 'training_run_not_found' });
    const wrong = await api.call(method, '/v1/training-runs/1e3');
    expect(problemOf(wrong)).toMatchObject({ status: 422, code: 'invalid_request' });
  });
});
