import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi({
    log: { topic: 't', append: () => Promise.reject(new Error('disk of the broker is full')) },
  });
});
afterAll(() => api.stop());

describe('erasures 503', () => {
  it.each(['/v1/users/u1', '/v1/users/u1/events/e1'])(
    'DELETE %s never says 202 when the log did not take it',
    async (path) => {
      const reply = await api.call('DELETE', path);
      expect(problemOf(reply)).toMatchObject({ status: 503, code: 'event_log_unavailable' });
      expect(reply.headers.get('retry-after')).toBe('1');
      expect(reply.text).not.toContain('disk');
    },
  );
});
