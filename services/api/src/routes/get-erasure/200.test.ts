import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';
import { NOW_MS } from '../../../../../tests/helpers/api/fakes.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const accepted = async () => {
  const { receipt } = (await api.call('DELETE', '/v1/users/u1')).json as { receipt: string };
  return { path: `/v1/erasures/${receipt}`, receipt, hash: receipt.split('.')[3]! };
};

describe('GET /v1/erasures/{receipt}', () => {
  it('200: is pending until the log has been read up to it', async () => {
    const { path, receipt } = await accepted();
    expect((await api.call('GET', path)).json).toEqual({
      ...{ receipt, status: 'pending', kind: null, requested_at: null, applied_at: null },
      ...{ erased: null, reason: null },
    });
  });

  it('200: then says what was erased, and when', async () => {
    const { path, receipt, hash } = await accepted();
    api.world.erasures.set(hash, {
      ...{ status: 'applied', kind: 'user', requestedAtMs: NOW_MS, appliedAtMs: NOW_MS + 5 },
      ...{ events: 7, states: 1, rejects: 2 },
    });
    expect((await api.call('GET', path)).json).toEqual({
      ...{ receipt, status: 'applied', kind: 'user', reason: null },
      ...{ requested_at: '2026-11-23T12:00:00.000Z', applied_at: '2026-11-23T12:00:00.005Z' },
      erased: { events: 7, states: 1, dead_letters: 2 },
    });
  });

  it('200: or why it was set aside', async () => {
    const { path, hash } = await accepted();
    api.world.erasures.set(hash, { status: 'rejected', reason: 'future_timestamp' });
    expect((await api.call('GET', path)).json).toMatchObject({
      ...{ status: 'rejected', reason: 'future_timestamp', erased: null },
    });
  });

  it('404: knows of none where the log has been read past the place', async () => {
    const { path } = await accepted();
    api.world.applied = BigInt(api.world.appended.length);
    const reply = await api.call('GET', path);
    expect(problemOf(reply)).toMatchObject({ status: 404, code: 'erasure_not_found' });
  });

  it.each(['x', 'e1.0.1', 'e1.0.1.short', 'e1.-1.1.0123456789012345678901'])(
    '422: %s is no receipt',
    async (receipt) => {
      const reply = await api.call('GET', `/v1/erasures/${receipt}`);
      expect(problemOf(reply)).toMatchObject({ status: 422, code: 'invalid_request' });
    },
  );
});
