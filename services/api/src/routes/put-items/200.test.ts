import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const put = (items: unknown) => api.call('PUT', '/v1/items', { body: { items } });

describe('PUT /v1/items', () => {
  it('200 with one outcome for each item, in order, and their numbers', async () => {
    const reply = await put([{ item_id: 'new', title: 'New' }, { item_id: 'i1' }]);
    expect(reply.status).toBe(200);
    expect(reply.json).toEqual({
      ...{ created: 1, updated: 1, refused: 0 },
      items: [
        { item_id: 'new', outcome: 'created', embedded_in: ['v1'], error: null },
        { item_id: 'i1', outcome: 'updated', embedded_in: ['v1'], error: null },
      ],
    });
    expect(api.world.items.get('new')).toMatchObject({ title: 'New', available: true });
  });

  it.each([
    ['no item', [], 422, 'items'],
    [
      'an id twice',
      [{ item_id: 'a' }, { item_id: 'b' }, { item_id: 'a' }],
      422,
      'items[2].item_id',
    ],
    ['a title that is no text', [{ item_id: 'a', title: 5 }], 422, 'items[0].title'],
    ['an unknown field', [{ item_id: 'a', price: 5 }], 400, 'items[0].price'],
    ['an item without id', [{ title: 'A' }], 422, 'items[0].item_id'],
  ])('refuses a body with %s whole, and names it', async (_name, items, status, path) => {
    const before = new Map(api.world.items);
    const problem = problemOf(await put(items));
    expect(problem.status).toBe(status);
    expect(problem.errors.map((error) => error.path)).toContain(path);
    expect(api.world.items).toEqual(before);
  });

  it('413 above 1,000 items or 8 MB, and not at them', async () => {
    const many = Array.from({ length: 1_001 }, (_, index) => ({ item_id: `n${index}` }));
    expect(problemOf(await put(many))).toMatchObject({ status: 413 });
    expect((await put(many.slice(1))).status).toBe(200);
    const large = { item_id: 'a', fields: { text: ['x'] } };
    const body = JSON.stringify({ items: [large] });
    const spaces = (bytes: number) => body.padEnd(bytes, ' ');
    const send = (text: string) => api.call('PUT', '/v1/items', { body: text });
    expect((await send(spaces(8_000_000))).status).toBe(200);
    expect(problemOf(await send(spaces(8_000_001)))).toMatchObject({ status: 413 });
  });
});
