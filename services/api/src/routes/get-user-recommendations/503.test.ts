import { DatabaseUnavailable } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { problemOf, startApi } from '../../../../../tests/helpers/api/harness.js';

const PATH = '/v1/users/u1/recommendations';

describe('GET /v1/users/{id}/recommendations 503', () => {
  it('says that no model is published, and when to come again', async () => {
    const api = await startApi();
    api.world.published = null;
    const reply = await api.call('GET', PATH);
    await api.stop();
    expect(problemOf(reply)).toMatchObject({ status: 503, code: 'no_published_model' });
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  });

  it('tells a client nothing of the database but that it is away', async () => {
    const api = await startApi({
      recommender: {
        recommendForUser: () =>
          Promise.reject(
            new DatabaseUnavailable({
              detail: 'connecting failed with ECONNREFUSED 10.0.0.7:5432',
              retryAfterSeconds: 2.5,
            }),
          ),
        recommendForSession: () => Promise.reject(new Error('not asked')),
        similarItems: () => Promise.reject(new Error('not asked')),
      },
    });
    const reply = await api.call('GET', PATH);
    await api.stop();
    expect(problemOf(reply)).toMatchObject({
      code: 'database_unavailable',
      detail: 'The database cannot be reached.',
    });
    expect(reply.headers.get('retry-after')).toBe('3');
    expect(reply.text).not.toContain('10.0.0.7');
  });
});
