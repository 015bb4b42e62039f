/** The main job over HTTP, on both databases: events in, recommendations out, and everything between real. */
import type { RecommendationsAnswer } from '@nestrec/contracts';
import { recommendationsAnswerSchema } from '@nestrec/contracts';
import { countInteractions, deleteItems, getItem } from '@nestrec/storage';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { problemOf } from '../helpers/api/harness.js';
import { ITEMS, serveApi, SIZES, type ServedApi } from '../helpers/api/served-api.js';
import { itemIdOf } from '../helpers/published-artifact.js';

describeDatabases('the API', (database) => {
  let api: ServedApi;
  beforeAll(async () => {
    api = await serveApi(database());
  });
  afterAll(() => api.stop());

  const recommend = async (userId: string, query = '', key?: string) => {
    const path = `/v1/users/${encodeURIComponent(userId)}/recommendations${query}`;
    const reply = await api.call('GET', path, undefined, key);
    expect(reply.status, reply.text).toBe(200);
    return recommendationsAnswerSchema.parse(reply.json);
  };
  const send = async (userId: string, ...itemIds: string[]) => {
    const events = itemIds.map((itemId) => ({ user_id: userId, item_id: itemId, type: 'view' }));
    const reply = await api.call('POST', '/v1/events', { events });
    expect(reply.status, reply.text).toBe(202);
    return (reply.json as { token: string }).token;
  };
  const idsOf = (answer: RecommendationsAnswer) => answer.items.map((item) => item.item_id);

  it('is ready, and says of what', async () => {
    const reply = await api.call('GET', '/readyz');
    expect(reply.json).toEqual({
      ready: true,
      checks: {
        gate: { ok: true, detail: 'open' },
        database: { ok: true, detail: 'ok' },
        model: { ok: true, detail: 'ok' },
        ingest: { ok: true, detail: 'ok' },
      },
    });
  });

  it('an event posted now changes the next answer, at every dimension', async () => {
    const before = await recommend('walker', '?k=20');
    expect(before.served_by).toMatchObject({ fallback: 'unknown_user', personalised: false });
    const [first] = idsOf(before);
    const token = await send('walker', first!, itemIdOf(7));
    for (const dim of SIZES) {
      const after = await recommend('walker', `?k=20&dim=${dim}&after=${token}`);
      expect(after.served_by).toMatchObject({ dim, personalised: true, events_in_state: 2 });
      expect(idsOf(after)).toHaveLength(20);
      expect(idsOf(after)).not.toContain(first);
    }
    const seen = await recommend('walker', `?k=${ITEMS}&exclude_seen=false&after=${token}`);
    expect(idsOf(seen)).toContain(first);
  });

  it('serves no dimension above the tier, and names the sizes that there are', async () => {
    const key = await api.makeKey('basic', ['recommend']);
    const path = '/v1/users/u/recommendations';
    expect((await recommend('u', '', key)).served_by.dim).toBe(16);
    const above = await api.call('GET', `${path}?dim=17`, undefined, key);
    expect(problemOf(above)).toMatchObject({ status: 403, code: 'dimension_not_allowed' });
    const between = await api.call('GET', `${path}?dim=5`, undefined, key);
    expect(problemOf(between)).toMatchObject({ status: 422, code: 'invalid_request' });
    expect(between.text).toContain('4, 8, 16');
  });

  it('a retry of the same events is stored once', async () => {
    const event = { event_id: 'once', user_id: 'again', item_id: itemIdOf(1) };
    let token = '';
    for (let i = 0; i < 3; i++) {
      const body = { events: [{ ...event, timestamp: '2026-01-01T00:00:00Z' }] };
      token = ((await api.call('POST', '/v1/events', body)).json as { token: string }).token;
    }
    const answer = await recommend('again', `?after=${token}`);
    expect(answer.served_by.events_in_state).toBe(1);
    expect(answer.served_by.state_at).toBe('2026-01-01T00:00:00.000Z');
  });

  it('recommends a new item at once, with no interaction, until it is removed', async () => {
    const item = { title: 'red lamp', brand: 'maker 0', features: { image: [1, 2, 3] } };
    const put = await api.call('PUT', '/v1/items/new', item);
    expect([put.status, put.json]).toEqual([201, { item_id: 'new', embedded_in: ['v1'] }]);
    const all = async () => {
      const answer = await api.call('POST', '/v1/sessions/recommendations', { items: [], k: 100 });
      return idsOf(answer.json as RecommendationsAnswer);
    };
    expect(await all()).toHaveLength(ITEMS + 1);
    expect(await all()).toContain('new');
    const similar = await api.call('GET', '/v1/items/new/similar?k=5');
    expect(idsOf(similar.json as RecommendationsAnswer)).toHaveLength(5);
    expect((await api.call('DELETE', '/v1/items/new')).status).toBe(204);
    expect(await all()).not.toContain('new');
    expect((await api.call('GET', '/v1/items/new/similar')).status).toBe(404);
  });

  it('removes an item that the model knows from interactions alone, and says so once', async () => {
    const itemId = itemIdOf(9);
    await deleteItems(database(), [itemId]);
    expect((await api.call('DELETE', `/v1/items/${itemId}`)).status).toBe(204);
    const answer = await api.call('POST', '/v1/sessions/recommendations', { items: [], k: 100 });
    expect(idsOf(answer.json as RecommendationsAnswer)).not.toContain(itemId);
    expect((await api.call('DELETE', `/v1/items/${itemId}`)).status).toBe(404);
    expect((await api.call('PUT', `/v1/items/${itemId}`, { title: 'lamp' })).status).toBe(201);
  });

  it('keeps nothing of an item that the model refuses', async () => {
    const wrong = { title: 'lamp', features: { image: [1, 2] } };
    const refused = await api.call('PUT', '/v1/items/odd', wrong);
    expect(problemOf(refused)).toMatchObject({ status: 422, code: 'invalid_request' });
    expect(await getItem(database(), 'odd')).toBeNull();
    const before = await getItem(database(), itemIdOf(3));
    await api.call('PUT', `/v1/items/${itemIdOf(3)}`, wrong);
    expect(await getItem(database(), itemIdOf(3))).toEqual(before);
  });

  it('publishes another version and goes back, and every answer names the one that served it', async () => {
    const servedBy = async () => (await recommend('walker')).served_by.model_version;
    const publish = await api.call('POST', '/v1/models/v2/publish');
    expect([publish.status, publish.headers.get('location')]).toEqual([202, '/v1/models/v2']);
    const state = async () =>
      (await api.call('GET', '/v1/models/v2')).json as { publish_run: { state: string } };
    await expect.poll(async () => (await state()).publish_run.state).toBe('published');
    await expect.poll(servedBy).toBe('v2');
    expect((await recommend('walker')).served_by.events_in_state).toBe(2);
    expect((await api.call('GET', '/v1/models')).json).toMatchObject({
      published: 'v2',
      previous: 'v1',
    });
    const rollback = await api.call('POST', '/v1/models/v2/rollback');
    expect([rollback.status, rollback.json]).toEqual([200, { published: 'v1', previous: 'v2' }]);
    await expect.poll(servedBy).toBe('v1');
  });

  it('a key that is made over HTTP works, and stops when it is revoked', async () => {
    const body = { client: 'shop', tier: 'standard', scopes: ['recommend'] };
    const made = (await api.call('POST', '/v1/admin/keys', body)).json as {
      id: string;
      key: string;
    };
    const tiers = () => api.call('GET', '/v1/tiers', undefined, made.key);
    expect((await tiers()).json).toMatchObject({
      model_version: 'v1',
      tiers: [
        { name: 'basic', dim: 16, bytes_per_item: 64 },
        { name: 'standard' },
        { name: 'full' },
      ],
    });
    await api.call('DELETE', `/v1/admin/keys/${made.id}`);
    expect((await tiers()).status).toBe(401);
  });

  it('stores what was sent to the letter, and counts events of items that nobody knows', async () => {
    const odd = 'Ünï %2F/..;\'"— 😀e\u0301';
    const before = (await countInteractions(database())).interactions;
    const token = await send(odd, `${odd} item`, itemIdOf(2));
    const answer = await recommend(odd, `?after=${token}`);
    expect(answer.served_by.personalised).toBe(true);
    expect((await countInteractions(database())).interactions).toBe(before + 2n);
    expect((await recommend(odd.normalize('NFD'))).served_by.fallback).toBe('unknown_user');
  });
});
