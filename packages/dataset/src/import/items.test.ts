import type { Item } from '@nestrec/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importItems } from './items.js';
import { failure, makeTestFolder, type TestFolder } from './test-files.js';
import type { ItemImportOptions } from './types.js';

let folder: TestFolder;
beforeAll(async () => {
  folder = await makeTestFolder();
});
afterAll(() => folder.remove());

async function importAll(name: string, content: string, options: ItemImportOptions = {}) {
  const imported = await importItems({ path: await folder.write(name, content) }, options);
  try {
    const items: Item[] = [];
    for await (const batch of imported.batches({ batchSize: 2 })) items.push(...batch);
    return { items, summary: imported.summary };
  } finally {
    await imported.close();
  }
}

describe('item imports', () => {
  it('read JSON Lines with lists of categories, nested ones too', async () => {
    const { items, summary } = await importAll(
      'items.jsonl',
      [
        '{"item_id":"1","title":"Red shoe","brand":"Acme","categories":["Shoes","Red"]}',
        '{"item_id":"2","title":"","categories":[["Beauty","Nails"]],"price":3}',
        '{"item_id":"3","title":null}',
      ].join('\n'),
    );
    expect(items).toEqual([
      {
        item_id: '1',
        title: 'Red shoe',
        brand: 'Acme',
        categories: ['Shoes', 'Red'],
        available: true,
      },
      { item_id: '2', categories: ['Beauty', 'Nails'], available: true },
      { item_id: '3', available: true },
    ]);
    expect(summary).toMatchObject({ read: 3, stored: 3, bad: 0, withoutTitle: 2 });
  });

  it('read CSV with a mapping, flags, separated categories and further fields', async () => {
    const { items } = await importAll(
      'items.csv',
      'sku,name,cats,live,price,code\n7,"Lamp, tall",Home|Light,no,9.50,007\n',
      {
        map: {
          item_id: 'sku',
          title: 'name',
          categories: 'cats',
          available: 'live',
          'fields.price': 'price',
          'fields.code': 'code',
        },
      },
    );
    expect(items).toEqual([
      {
        item_id: '7',
        title: 'Lamp, tall',
        categories: ['Home', 'Light'],
        available: false,
        fields: { price: 9.5, code: '007' },
      },
    ]);
  });

  it('keep fields and feature vectors that stand as objects in JSON Lines', async () => {
    const { items, summary } = await importAll(
      'rich.jsonl',
      [
        '{"item_id":"1","fields":{"price":2,"__proto__":{"x":1}},"features":{"image":[0.5,1]}}',
        '{"item_id":"2","features":[1,2]}',
        '{"item_id":"3","features":{"image":["a"]}}',
      ].join('\n'),
      { maxBad: 1 },
    );
    expect(items).toMatchObject([
      { item_id: '1', fields: { price: 2 }, features: { image: [0.5, 1] } },
    ]);
    expect(summary.badByReason).toEqual({ features_invalid: 1, features_unreadable: 1 });
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('read RecBole .item files, whose lists are separated by spaces', async () => {
    const { items } = await importAll(
      'm.item',
      'item_id:token\ttitle:token_seq\tcategories:token_seq\n5\tToy "Story"\tFun Film\n',
    );
    expect(items).toMatchObject([
      { item_id: '5', title: 'Toy "Story"', categories: ['Fun', 'Film'] },
    ]);
  });

  it('keep the most frequent title of an item with many rows, or the last one, and say which', async () => {
    const csv =
      'item_id,title,brand\na,Good name,x\nb,B,\na,Good name,y\na,damaged?,z\na,,z\nc,first,\nc,second,\n';
    const frequent = await importAll('sales.csv', csv);
    expect(frequent.items.map((item) => [item.item_id, item.title, item.brand])).toEqual([
      ['a', 'Good name', 'z'],
      ['b', 'B', undefined],
      ['c', 'second', undefined],
    ]);
    expect(frequent.summary).toMatchObject({ read: 7, stored: 3, duplicate: 4 });
    expect(frequent.summary.notes.join()).toMatch(/2 items have several titles; the most frequent/);
    const last = await importAll('sales.csv', csv, { repeatedTitle: 'last' });
    expect(last.items[0]!.title).toBe('damaged?');
    expect(last.summary.notes.join()).toMatch(/the last one was kept/);
  });

  it('refuse what is no item, row by row, and count everything once', async () => {
    const { items, summary } = await importAll(
      'bad.csv',
      [
        'item_id,title,categories,available,keep',
        'a,fine,,,1',
        ',no id,,,1',
        `b,${'x'.repeat(3_000)},,,1`,
        `c,fine,"[""broken",,1`,
        'd,fine,,perhaps,1',
        'e\u0007,fine,,,1',
        'f,filtered,,,0',
        'a,fine,,,1',
        'short',
      ].join('\n'),
      { maxBad: 1, where: 'keep = 1' },
    );
    expect(items.map((item) => item.item_id)).toEqual(['a']);
    expect(summary).toMatchObject({ read: 9, stored: 1, duplicate: 1, filtered: 1, bad: 6 });
    expect(summary.rejects.map(({ line, reason }) => [line, reason])).toEqual([
      [3, 'item_id_missing'],
      [4, 'title_invalid'],
      [5, 'categories_unreadable'],
      [6, 'available_unreadable'],
      [7, 'item_id_invalid'],
      [10, 'wrong_number_of_fields'],
    ]);
  });

  it('refuse fields that items do not have', async () => {
    const message = await failure(() =>
      importAll('f.csv', 'item_id,x\na,1\n', { map: { colour: 'x', title: 'y' } }),
    );
    expect(message).toMatch(
      /usage_error.*colour.*title is mapped to y, which is absent.*Columns: item_id, x/,
    );
  });
});
