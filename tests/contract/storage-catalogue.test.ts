/** The catalogue on both databases: items, the times of their forms, and the marks of deleted ones. */
import type { Item } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import * as storage from '@nestrec/storage';
import { beforeEach, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { deferred } from '../helpers/deferred.js';

describeDatabases('the catalogue', (database) => {
  beforeEach(() => database().execute('TRUNCATE items, deleted_items CASCADE'));
  const full: Item = {
    item_id: 'i1',
    title: 'A "quoted" \\ title, {braced}',
    brand: '',
    categories: ['a', 'b,c', '{}', 'NULL', ''],
    available: false,
    fields: { price: 9.5, tags: ['x', 'y'], new: true, note: 'null' },
    features: { image: [0.5, -1], text: [] },
  };
  const bare: Item = { item_id: 'i2', available: true };

  it('gives an item back as it was written, absent fields absent', async () => {
    const db = database();
    expect(await storage.upsertItems(db, [full, bare])).toEqual(new Set(['i1', 'i2']));
    expect(await storage.getItem(db, 'i1')).toEqual(full);
    expect(await storage.getItem(db, 'i2')).toEqual(bare);
    expect(await storage.getItem(db, 'absent')).toBeNull();
    expect(await storage.getItems(db, ['i2', 'absent', 'i1'])).toEqual(
      new Map([
        ['i1', full],
        ['i2', bare],
      ]),
    );
    expect(await storage.countItems(db)).toBe(2n);
  });

  it('replaces an item whole, vectors included, and says it is not new', async () => {
    const db = database();
    await storage.upsertItems(db, [full]);
    const next: Item = { item_id: 'i1', available: true, features: { image: [7], sound: [1, 2] } };
    expect(await storage.upsertItems(db, [next])).toEqual(new Set());
    expect(await storage.getItem(db, 'i1')).toEqual(next);
    await storage.upsertItems(db, [{ item_id: 'i1', available: true }]);
    expect(await storage.getItem(db, 'i1')).toEqual({ item_id: 'i1', available: true });
  });

  it('gives each form of an item a later time than the one before, also where the clock was set back', async () => {
    const db = database();
    const writtenAt = async () => (await storage.getStoredItems(db, ['i1'])).get('i1')!.writtenAt;
    await storage.upsertItems(db, [full]);
    const times = [await writtenAt()];
    for (let form = 0; form < 3; form++) {
      await storage.upsertItems(db, [full]);
      times.push(await writtenAt());
    }
    // As if the clock had been an hour ahead when the last form was written.
    await db.query(`UPDATE items SET updated_at = updated_at + interval '1 hour'`);
    times.push(await writtenAt());
    await storage.upsertItems(db, [full]);
    times.push(await writtenAt());
    const { rows } = await db.query<{ ascending: boolean }>(
      `SELECT bool_and(t.at > before.at) AS ascending
       FROM unnest($1::text[]::timestamptz[]) WITH ORDINALITY AS t (at, n)
       JOIN unnest($1::text[]::timestamptz[]) WITH ORDINALITY AS before (at, n) ON before.n = t.n - 1`,
      [times],
    );
    expect([times.length, rows[0]]).toEqual([6, { ascending: true }]);
  });

  it('gives new items of one transaction the time of their writing, not that of its beginning', async () => {
    const db = database();
    await db.transaction(async (tx) => {
      const { rows: begun } = await tx.query<{ at: string }>(
        'SELECT clock_timestamp()::text AS at, pg_sleep(0.01)',
      );
      await storage.upsertItems(tx, [full]);
      const { writtenAt } = (await storage.getStoredItems(tx, ['i1'])).get('i1')!;
      const { rows } = await tx.query<{ later: boolean }>(
        'SELECT $1::timestamptz > $2::timestamptz AS later',
        [writtenAt, begun[0]!.at],
      );
      expect(rows).toEqual([{ later: true }]);
    });
  });

  it('is complete up to now where nobody writes, and up to the beginning of the oldest write that is not committed', async () => {
    const db = database();
    const earlier = async (a: string, b: string) => {
      const { rows } = await db.query<{ earlier: boolean }>(
        'SELECT $1::timestamptz < $2::timestamptz AS earlier',
        [a, b],
      );
      return rows[0]!.earlier;
    };
    const clock = async (on: Queryable = db) =>
      (await on.query<{ now: string }>('SELECT clock_timestamp()::text AS now')).rows[0]!.now;
    await storage.upsertItems(db, [full]);
    const before = await clock();
    const alone = await storage.catalogueAsOf(db);
    expect(await earlier(before, alone)).toBe(true);
    expect(await earlier(alone, await clock())).toBe(true);
    if (db.kind === 'pglite') return;
    const [wrote, commit] = [deferred(), deferred()];
    const writes = db.transaction(async (tx) => {
      await clock(tx);
      await storage.upsertItems(tx, [bare]);
      wrote.resolve();
      await commit.promise;
    });
    await wrote.promise;
    const afterwards = await clock();
    const beside = await storage.catalogueAsOf(db);
    commit.resolve();
    await writes;
    const { writtenAt } = (await storage.getStoredItems(db, ['i2'])).get('i2')!;
    expect([await earlier(alone, beside), await earlier(beside, writtenAt)]).toEqual([true, true]);
    expect(await earlier(afterwards, await storage.catalogueAsOf(db))).toBe(true);
  });

  it('lets the last of several entries with one id count', async () => {
    const db = database();
    await storage.upsertItems(db, [full, { ...bare, item_id: 'i1' }]);
    expect(await storage.getItem(db, 'i1')).toEqual({ item_id: 'i1', available: true });
  });

  it('keeps a field and a modality called __proto__ as plain keys', async () => {
    const item = JSON.parse(
      '{"item_id":"p","available":true,"fields":{"__proto__":"x"},"features":{"__proto__":[1]}}',
    ) as Item;
    await storage.upsertItems(database(), [item]);
    const read = (await storage.getItem(database(), 'p'))!;
    expect(JSON.stringify(read)).toBe(JSON.stringify(item));
    expect(Object.getPrototypeOf(read.fields)).toBe(Object.prototype);
  });

  it('streams the catalogue in bytewise order of ids', async () => {
    const names = ['b', 'B', 'ä', 'a', '😀', '￿', 'a1'];
    await storage.upsertItems(
      database(),
      names.map((item_id) => ({ item_id, available: true })),
    );
    const seen: string[] = [];
    for await (const batch of storage.streamItems(database(), 2)) {
      seen.push(...batch.map((item) => item.item_id));
    }
    const bytewise = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    expect(seen).toEqual(names.sort(bytewise));
  });

  it('deletes items with their vectors and says which were there', async () => {
    const db = database();
    await storage.upsertItems(db, [full, bare]);
    expect(await storage.deleteItems(db, ['i1', 'absent'])).toEqual(['i1']);
    expect((await db.query('SELECT 1 FROM item_features')).rowCount).toBe(0);
    expect(await storage.countItems(db)).toBe(1n);
  });

  it('marks deleted items that the catalogue had, until they are written again', async () => {
    const db = database();
    const marked = async () =>
      (await db.query('SELECT item_id FROM deleted_items ORDER BY item_id')).rows;
    await storage.upsertItems(db, [full, bare]);
    await storage.deleteItems(db, ['i1', 'i2', 'absent']);
    expect(await marked()).toEqual([{ item_id: 'i1' }, { item_id: 'i2' }]);
    await storage.upsertItems(db, [full]);
    expect(await marked()).toEqual([{ item_id: 'i2' }]);
  });

  it('writes 2,000 items with vectors in one call', async () => {
    const items = Array.from({ length: 2_000 }, (_, i) => ({
      item_id: `i${i}`,
      title: `title ${i}`,
      available: true,
      features: { image: Array.from({ length: 16 }, (_, j) => i + j) },
    }));
    expect((await storage.upsertItems(database(), items)).size).toBe(2_000);
    expect(await storage.getItem(database(), 'i1999')).toEqual(items[1_999]);
  });
});
