/** Items in bulk over HTTP, on both databases: what is written, what is refused, and where it shows. */
import { createClient, type NestrecClient } from '@nestrec/client';
import { parseVector } from '@nestrec/database';
import { itemVectorsTable } from '@nestrec/storage';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { serveApi, type ServedApi } from '../helpers/api/served-api.js';
import { describeDatabases } from '../helpers/databases.js';
import { catalogueItem } from '../helpers/published-artifact.js';
import { waitFor } from '../helpers/wait-for.js';

describeDatabases('items in bulk', (database) => {
  let served: ServedApi;
  let client: NestrecClient;
  beforeAll(async () => {
    served = await serveApi(database());
    client = createClient({ url: served.url, key: served.key });
  });
  afterAll(() => served.stop());

  const vectorOf = async (version: string, itemId: string) => {
    const { rows } = await database().query<{ embedding: string }>(
      `SELECT embedding FROM ${itemVectorsTable(version)} WHERE item_id = $1`,
      [itemId],
    );
    return rows[0] === undefined ? null : [...parseVector(rows[0].embedding)];
  };

  it('are recommendable when the answer comes, with the vectors that single writes give', async () => {
    const items = Array.from({ length: 250 }, (_, index) => catalogueItem(1_000 + index));
    const answer = await client.putItems(items);
    expect(answer).toMatchObject({ created: 250, updated: 0, refused: 0 });
    expect(answer.items.map((item) => item.item_id)).toEqual(items.map((item) => item.item_id));
    expect(new Set(answer.items.map((item) => item.embedded_in.join()))).toEqual(new Set(['v1']));
    const { item_id: first, ...body } = items[0]!;
    expect((await client.similarItems(first, { k: 5 })).items).toHaveLength(5);
    const inBulk = await vectorOf('v1', first);
    await client.putItem(first, body);
    expect(await vectorOf('v1', first)).toEqual(inBulk);
  });

  it('sent again change nothing, and say that they were there', async () => {
    const items = Array.from({ length: 5 }, (_, index) => catalogueItem(1_300 + index));
    await client.putItems(items);
    expect(await client.putItems(items)).toMatchObject({ created: 0, updated: 5, refused: 0 });
    expect(await client.getItem(items[1]!.item_id)).toMatchObject({ title: items[1]!.title });
  });

  it('that the model cannot take are refused one by one: the others are written', async () => {
    const answer = await client.putItems([
      { item_id: 'fits', title: 'A lamp' },
      { item_id: 'odd', title: 'An odd one', features: { image: [1, 2] } },
    ]);
    expect(answer).toMatchObject({ created: 1, updated: 0, refused: 1 });
    expect(answer.items[1]).toMatchObject({
      ...{ item_id: 'odd', outcome: 'refused', embedded_in: [] },
      error: { code: 'invalid_request', detail: expect.stringContaining('3') as string },
    });
    await expect(client.getItem('odd')).rejects.toMatchObject({ code: 'item_not_found' });
    expect(await client.getItem('fits')).toMatchObject({ title: 'A lamp' });
  });

  it('that are refused as a change leave the item as it was', async () => {
    await client.putItems([{ item_id: 'kept', title: 'Before' }]);
    const answer = await client.putItems([
      { item_id: 'kept', title: 'After', features: { image: [1] } },
    ]);
    expect(answer).toMatchObject({ updated: 0, refused: 1 });
    expect(await client.getItem('kept')).toMatchObject({ title: 'Before' });
  });

  it('reach every live version, the published one first', async () => {
    await client.publishModel('v2');
    await waitFor('v2 to answer', async () => (await client.getModels()).published === 'v2');
    const item = catalogueItem(1_400);
    const answer = await client.putItems([item]);
    expect(answer.items[0]).toMatchObject({ outcome: 'created', embedded_in: ['v2', 'v1'] });
    expect(await vectorOf('v1', item.item_id)).not.toEqual(await vectorOf('v2', item.item_id));
  });
});
