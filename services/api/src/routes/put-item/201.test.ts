import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startApi, type ApiHarness } from '../../../../../tests/helpers/api/harness.js';

let api: ApiHarness;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const ITEM = {
  title: 'A lamp',
  brand: 'Lumo',
  categories: ['Home', 'Light'],
  available: true,
  fields: { price: 9.5, colours: ['red'], eco: true },
  features: { image: [0.5, -1] },
};

describe('PUT, GET and DELETE /v1/items/{id}', () => {
  it('201 for a new item, 200 for one that is replaced, 204 and 404 for one that goes', async () => {
    const put = await api.call('PUT', '/v1/items/lamp', { body: ITEM });
    expect([put.status, put.json]).toEqual([201, { item_id: 'lamp', embedded_in: ['v1'] }]);
    expect((await api.call('GET', '/v1/items/lamp')).json).toEqual({ item_id: 'lamp', ...ITEM });
    const again = await api.call('PUT', '/v1/items/lamp', { body: { title: 'Another lamp' } });
    expect(again.status).toBe(200);
    expect((await api.call('GET', '/v1/items/lamp')).json).toEqual({
      item_id: 'lamp',
      title: 'Another lamp',
      available: true,
    });
    const gone = await api.call('DELETE', '/v1/items/lamp');
    expect([gone.status, gone.text]).toEqual([204, '']);
    expect(problemOf(await api.call('DELETE', '/v1/items/lamp')).status).toBe(404);
    expect(problemOf(await api.call('GET', '/v1/items/lamp')).code).toBe('item_not_found');
  });

  it.each([
    ['a title that is no text', { title: 5 }, 422, 'title'],
    ['a feature that is no number', { features: { image: ['x'] } }, 422, 'features.image[0]'],
    ['a field that is an object', { fields: { a: {} } }, 422, 'fields.a'],
    ['33 categories', { categories: Array(33).fill('c') }, 422, 'categories'],
    ['an unknown field', { price: 5 }, 400, 'price'],
    ['item_id in the body', { item_id: 'other' }, 400, 'item_id'],
  ])('refuses %s and names it', async (_name, body, status, path) => {
    const problem = problemOf(await api.call('PUT', '/v1/items/lamp', { body }));
    expect(problem.status).toBe(status);
    expect(problem.errors.map((error) => error.path)).toContain(path);
  });
});
