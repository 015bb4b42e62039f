/** Erasure over HTTP on both databases: asked, waited for, looked up, and gone from every answer. */
import { erasureAcceptedSchema, erasureAnswerSchema } from '@nestrec/contracts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { tablesThatMention } from '../helpers/erasure-records.js';
import { problemOf } from '../helpers/api/harness.js';
import { serveApi, type ServedApi } from '../helpers/api/served-api.js';
import { itemIdOf } from '../helpers/published-artifact.js';

describeDatabases('erasure over HTTP', (database) => {
  let api: ServedApi;
  beforeAll(async () => {
    api = await serveApi(database());
  });
  afterAll(() => api.stop());

  const send = async (userId: string, ...eventIds: string[]) => {
    const events = eventIds.map((id, n) => ({
      ...{
        event_id: id,
        user_id: userId,
        item_id: itemIdOf(n),
        timestamp: Date.now() - 60_000 + n,
      },
    }));
    const reply = await api.call('POST', '/v1/events', { events });
    return { events, token: (reply.json as { token: string }).token };
  };
  const servedBy = async (userId: string, token: string) => {
    const path = `/v1/users/${userId}/recommendations?after=${token}`;
    const reply = await api.call('GET', path);
    expect(reply.status, reply.text).toBe(200);
    return (reply.json as { served_by: Record<string, unknown> }).served_by;
  };
  const erase = async (path: string) => {
    const reply = await api.call('DELETE', path);
    expect(reply.status, reply.text).toBe(202);
    return erasureAcceptedSchema.parse(reply.json);
  };
  const look = async (receipt: string) => {
    const reply = await api.call('GET', `/v1/erasures/${receipt}`);
    return erasureAnswerSchema.parse(reply.json);
  };

  it('a user is gone from every table and answer once the token is reached, and stays gone', async () => {
    const { events, token } = await send('leaver-51c', 'l1', 'l2', 'l3');
    expect(await servedBy('leaver-51c', token)).toMatchObject({ events_in_state: 3 });
    expect(await tablesThatMention(database(), 'leaver-51c')).not.toEqual([]);
    const { receipt, token: after } = await erase('/v1/users/leaver-51c');
    expect(await servedBy('leaver-51c', after)).toMatchObject({
      ...{ fallback: 'unknown_user', personalised: false, events_in_state: 0 },
    });
    expect(await tablesThatMention(database(), 'leaver-51c')).toEqual([]);
    expect(await look(receipt)).toMatchObject({
      ...{ status: 'applied', kind: 'user', reason: null },
      erased: { events: 3, states: 1, dead_letters: 0 },
    });
    const again = await api.call('POST', '/v1/events', { events });
    const { token: last } = again.json as { token: string };
    expect(await servedBy('leaver-51c', last)).toMatchObject({ events_in_state: 0 });
    expect(await tablesThatMention(database(), 'leaver-51c')).toEqual([]);
  });

  it('one event is gone from the state, and a retry of the request is harmless', async () => {
    await send('stayer', 's1', 's2', 's3');
    const first = await erase('/v1/users/stayer/events/s2');
    const second = await erase('/v1/users/stayer/events/s2');
    expect(await servedBy('stayer', second.token)).toMatchObject({ events_in_state: 2 });
    expect(await look(first.receipt)).toMatchObject({
      ...{ status: 'applied', kind: 'event', erased: { events: 1, states: 1 } },
    });
    expect(await look(second.receipt)).toMatchObject({
      ...{ status: 'applied', kind: 'event', erased: { events: 0, states: 0 } },
    });
  });

  it('a receipt of another place or another erasure is unknown once the log is past it', async () => {
    const { receipt, token } = await erase('/v1/users/nobody');
    await servedBy('nobody', token);
    const [, partition, offset, hash] = receipt.split('.');
    const forged = `e1.${partition}.${offset}.${hash!.split('').reverse().join('')}`;
    const moved = `e1.${partition}.0.${hash}`;
    for (const one of [forged, moved]) {
      const reply = await api.call('GET', `/v1/erasures/${one}`);
      expect(problemOf(reply)).toMatchObject({ status: 404, code: 'erasure_not_found' });
    }
    expect(await look(`e1.${partition}.999999.${hash}`)).toMatchObject({ status: 'pending' });
  });

  it('needs a key that may erase', async () => {
    const key = await api.makeKey('full', [
      'recommend',
      'events:write',
      'catalogue:write',
      'admin',
    ]);
    const reply = await api.call('DELETE', '/v1/users/stayer', undefined, key);
    expect(problemOf(reply)).toMatchObject({ status: 403, code: 'forbidden' });
  });
});
