import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi({
    log: { topic: 't', append: () => Promise.reject(new Error('disk of the broker is full')) },
  });
});
afterAll(() => api.stop());

describe('POST /v1/events 503', () => {
  it('never says 202 when the log did not take the events', async () => {
    const body = { events: [{ user_id: 'u1', item_id: 'i1' }] };
    const reply = await api.call('POST', '/v1/events', { body });
    expect(problemOf(reply)).toMatchObject({ status: 503, code: 'event_log_unavailable' });
    expect(reply.headers.get('retry-after')).toBe('1');
    expect(reply.text).not.toContain('disk');
  });
});
