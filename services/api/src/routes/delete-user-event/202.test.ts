import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';
import { NOW_MS } from '../../../../../tests/helpers/api/fakes.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const erase = async (userId: string, eventId: string) => {
  const before = api.world.appended.length;
  const reply = await api.call('DELETE', `/v1/users/${userId}/events/${eventId}`);
  return { reply, written: api.world.appended.slice(before) };
};

describe('DELETE /v1/users/{id}/events/{event_id} 202', () => {
  it('writes the erasure of that event to the log under the key of its user', async () => {
    const { reply, written } = await erase('u1', 'e1');
    expect(reply.status).toBe(202);
    expect(written).toEqual([
      {
        key: 'u1',
        event: {
          ...{ schema_version: 1, type: 'erase_event', user_id: 'u1', target_event_id: 'e1' },
          ...{ timestamp_ms: NOW_MS, event_id: expect.stringMatching(/^x-/) as string },
        },
      },
    ]);
  });

  it('asked twice, is one and the same erasure', async () => {
    const idOf = async (userId: string, eventId: string) =>
      (await erase(userId, eventId)).written[0]!.event['event_id'];
    const first = await idOf('u1', 'e1');
    expect(await idOf('u1', 'e1')).toBe(first);
    expect(await idOf('u1', 'e2')).not.toBe(first);
    expect(await idOf('u2', 'e1')).not.toBe(first);
  });
});
