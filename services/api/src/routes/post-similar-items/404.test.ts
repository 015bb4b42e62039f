import { describe, expect, it } from 'vitest';
import { problemOf, startApi } from '../../../../../tests/helpers/api/harness.js';

describe('POST /v1/items/{id}/similar 404', () => {
  it('an item that the published model does not hold is not found', async () => {
    const api = await startApi();
    const reply = await api.call('POST', '/v1/items/i404/similar', { body: {} });
    await api.stop();
    expect(problemOf(reply)).toMatchObject({ status: 404, code: 'item_not_found' });
  });
});
