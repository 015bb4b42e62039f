import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';
import { NOW_MS } from '../../../../../tests/helpers/api/fakes.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const post = async (...events: Record<string, unknown>[]) => {
  const before = api.world.appended.length;
  const reply = await api.call('POST', '/v1/events', { body: { events } });
  return { reply, written: api.world.appended.slice(before) };
};

describe('POST /v1/events 202', () => {
  it('writes every field of the event to the log under the key of its user', async () => {
    const { reply, written } = await post({
      event_id: 'e1',
      user_id: 'u1',
      item_id: 'i9',
      type: 'view',
      timestamp: '2026-11-23T11:00:00+01:00',
      value: 1,
    });
    expect(reply.status).toBe(202);
    expect(reply.json).toEqual({ accepted: 1, token: expect.any(String) as string });
    expect(written).toEqual([
      {
        key: 'u1',
        event: {
          schema_version: 1,
          event_id: 'e1',
          user_id: 'u1',
          item_id: 'i9',
          type: 'view',
          timestamp_ms: Date.UTC(2026, 10, 23, 10),
          value: 1,
        },
      },
    ]);
  });

  it('fills in type, time and value where they are absent', async () => {
    const { written } = await post({ event_id: 'e2', user_id: 'u1', item_id: 'i1' });
    expect(written[0]!.event).toMatchObject({
      type: 'interaction',
      timestamp_ms: NOW_MS,
      value: null,
    });
  });

  it('derives the same id for the same event without one, so that a retry changes nothing', async () => {
    const event = { user_id: 'u1', item_id: 'i1', timestamp: NOW_MS };
    const first = (await post(event)).written[0]!.event;
    const again = (await post(event)).written[0]!.event;
    const other = (await post({ ...event, item_id: 'i2' })).written[0]!.event;
    expect(again['event_id']).toBe(first['event_id']);
    expect(other['event_id']).not.toBe(first['event_id']);
  });

  it('keeps two events apart that have neither id nor time', async () => {
    const event = { user_id: 'u1', item_id: 'i1' };
    const { reply, written } = await post(event, event);
    expect(reply.json).toMatchObject({ accepted: 2 });
    expect(new Set(written.map(({ event: one }) => one['event_id'])).size).toBe(2);
  });

  it('writes the same event once where a request holds it twice', async () => {
    const event = { event_id: 'e3', user_id: 'u1', item_id: 'i1', timestamp: NOW_MS };
    const { reply, written } = await post(event, event);
    expect(reply.json).toMatchObject({ accepted: 2 });
    expect(written).toHaveLength(1);
  });

  it('keeps an id exactly as it was sent', async () => {
    const userId = 'Ünïcode/..%2f 😀e\u0301';
    const { written } = await post({ user_id: userId, item_id: 'i1' });
    expect(written[0]!.key).toBe(userId);
  });

  it('takes 1,000 events at once', async () => {
    const events = Array.from({ length: 1_000 }, (_, i) => ({
      event_id: `many-${i}`,
      user_id: 'u1',
      item_id: 'i1',
    }));
    const { reply, written } = await post(...events);
    expect(reply.json).toMatchObject({ accepted: 1_000 });
    expect(written).toHaveLength(1_000);
  });
});
