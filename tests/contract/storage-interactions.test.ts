/** Interactions and popularity: each event once, in one order, whoever writes beside. */
import { compareEvents } from '@nestrec/contracts';
import { InvalidParameter } from '@nestrec/errors';
import { createRandom } from '@nestrec/random';
import {
  countInteractions,
  deleteInteractions,
  insertInteractions,
  noteNewItems,
  readInteractions,
  recentInteractions,
  recentInteractionsOfMany,
  refreshPopularity,
  seenItems,
  streamInteractions,
  topItems,
  upsertItems,
  type Interaction,
  type StreamOptions,
} from '@nestrec/storage';
import type { Database } from '@nestrec/database';
import { beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { deferred } from '../helpers/deferred.js';
import { waitFor } from '../helpers/wait-for.js';

const START_MS = Date.UTC(2026, 0, 1);

const event = (eventId: string, change: Partial<Interaction> = {}): Interaction => ({
  eventId,
  userId: 'u1',
  itemId: 'i1',
  type: 'view',
  timestampMs: START_MS,
  value: null,
  ...change,
});

const ids = (events: readonly Interaction[]) => events.map((e) => e.eventId);

async function collect(db: Database, options?: StreamOptions): Promise<Interaction[]> {
  const all: Interaction[] = [];
  for await (const batch of streamInteractions(db, options)) {
    expect(batch.length).toBeGreaterThan(0);
    all.push(...batch);
  }
  return all;
}

/** Many events with equal times and awkward ids, the same for every run. */
function awkwardEvents(count: number): Interaction[] {
  const random = createRandom(7);
  const users = ['u', 'U', 'ü', 'u1', 'u10', 'u 2', '😀', '￿', 'user-"quoted"\\'];
  return Array.from({ length: count }, (_, i) =>
    event(`${['e', 'E', 'é', 'ﬀ', '😀'][random.int(5)]}${i}`, {
      userId: users[random.int(users.length)]!,
      itemId: `i${random.int(20)}`,
      timestampMs: START_MS + random.int(5),
      value: random.uniform() < 0.5 ? null : random.uniform(),
    }),
  );
}

const inOrder = (a: Interaction, b: Interaction) =>
  Buffer.compare(Buffer.from(a.userId), Buffer.from(b.userId)) || compareEvents(a, b);

describeDatabases('interactions', (database) => {
  beforeEach(() => database().execute('TRUNCATE interactions, item_popularity, items CASCADE'));

  it('stores every field of an event exactly', async () => {
    const stored = [
      event('a', { value: 0.1 + 0.2, timestampMs: START_MS + 1, type: 'add_to_cart' }),
      event('b', { value: null, timestampMs: -1 }),
      event('c', { value: 5e-324, timestampMs: Date.UTC(9999, 11, 31), userId: 'x'.repeat(256) }),
    ];
    await insertInteractions(database(), stored);
    const read = await readInteractions(database(), ['c', 'a', 'b', 'absent']);
    expect(read.sort((a, b) => (a.eventId < b.eventId ? -1 : 1))).toEqual(stored);
  });

  it('tells what was new, what was there, and what contradicts it; the first body stays', async () => {
    const db = database();
    const first = await insertInteractions(db, [event('a'), event('b')]);
    expect([...first.inserted].sort()).toEqual(['a', 'b']);
    const changed = event('a', { itemId: 'other' });
    const second = await insertInteractions(db, [event('a'), changed, event('c')]);
    expect(second).toEqual({
      inserted: new Set(['c']),
      duplicates: new Set(['a']),
      conflicts: [changed],
    });
    expect(await readInteractions(db, ['a'])).toEqual([event('a')]);
  });

  it.each<[string, Partial<Interaction>]>([
    ['user', { userId: 'u2' }],
    ['item', { itemId: 'i2' }],
    ['type', { type: 'purchase' }],
    ['time', { timestampMs: START_MS + 1 }],
    ['value', { value: 1 }],
  ])('another %s under the same event id is a conflict', async (_, change) => {
    await insertInteractions(database(), [event('a')]);
    const { conflicts } = await insertInteractions(database(), [event('a', change)]);
    expect(conflicts).toEqual([event('a', change)]);
  });

  it('keeps the first of two bodies within one batch', async () => {
    const later = event('a', { itemId: 'i2' });
    const outcome = await insertInteractions(database(), [event('a'), event('a'), later]);
    expect(outcome).toEqual({
      inserted: new Set(['a']),
      duplicates: new Set(['a']),
      conflicts: [later],
    });
    expect(await readInteractions(database(), ['a'])).toEqual([event('a')]);
  });

  it('stores an event once, however many writers send it at once, in whatever order', async () => {
    const db = database();
    const events = awkwardEvents(300);
    const outcomes = await Promise.all(
      [1, 2, 3, 4, 5].map((seed) =>
        db.transaction((tx) => insertInteractions(tx, createRandom(seed).shuffle([...events]))),
      ),
    );
    const inserted = outcomes.flatMap((outcome) => [...outcome.inserted]);
    expect(inserted.length).toBe(300);
    expect(new Set(inserted).size).toBe(300);
    expect(outcomes.flatMap((outcome) => outcome.conflicts)).toEqual([]);
    expect((await countInteractions(db)).interactions).toBe(300n);
  });

  it('does nothing for an empty batch', async () => {
    expect(await insertInteractions(database(), [])).toEqual({
      inserted: new Set(),
      duplicates: new Set(),
      conflicts: [],
    });
  });

  it.each<[string, Partial<Interaction>]>([
    ['an empty id', { userId: '' }],
    ['an id of 257 bytes', { itemId: 'ü'.repeat(129) }],
    ['a NUL in an id', { userId: 'a\u0000' }],
    ['a lone surrogate', { itemId: '\udfff' }],
    ['an infinite time', { timestampMs: Number.POSITIVE_INFINITY }],
    ['no time', { timestampMs: Number.NaN }],
    ['the year 300000', { timestampMs: Date.UTC(275_000, 0, 1) }],
    ['an empty type', { type: '' }],
  ])('refuses %s and stores nothing of the batch', async (_, change) => {
    await expect(
      insertInteractions(database(), [event('good'), event('bad', change)]),
    ).rejects.toMatchObject({ code: InvalidParameter.code });
    expect((await countInteractions(database())).interactions).toBe(0n);
  });

  it('gives a user’s newest events oldest first, ties in bytewise order of event ids', async () => {
    const db = database();
    const events = awkwardEvents(200);
    await insertInteractions(db, events);
    const users = [...new Set(events.map((e) => e.userId))];
    const expected = (userId: string) =>
      events
        .filter((e) => e.userId === userId)
        .sort(inOrder)
        .slice(-6);
    for (const userId of users) {
      expect(await recentInteractions(db, userId, 6)).toEqual(expected(userId));
    }
    const many = await recentInteractionsOfMany(db, [...users, users[0]!, 'nobody'], 6);
    expect(many.size).toBe(users.length);
    for (const userId of users) expect(many.get(userId)).toEqual(expected(userId));
  });

  it.each([1, 7, 100, 1_000])(
    'streams everything in order, %i rows at a time',
    async (batchSize) => {
      const events = awkwardEvents(300);
      await insertInteractions(database(), events);
      expect(await collect(database(), { batchSize })).toEqual([...events].sort(inOrder));
    },
  );

  it('streams a span of time, its start included and its end not', async () => {
    const events = awkwardEvents(100);
    await insertInteractions(database(), events);
    const span = { fromMs: START_MS + 1, untilMs: START_MS + 3, batchSize: 10 };
    const expected = events
      .filter((e) => e.timestampMs >= span.fromMs && e.timestampMs < span.untilMs)
      .sort(inOrder);
    expect(ids(await collect(database(), span))).toEqual(ids(expected));
  });

  it('lists what a user has seen once, and counts what is stored', async () => {
    const db = database();
    await insertInteractions(db, [
      event('1', { itemId: 'b' }),
      event('2', { itemId: 'a' }),
      event('3', { itemId: 'b' }),
      event('4', { userId: 'u2', itemId: 'c' }),
    ]);
    expect(await seenItems(db, 'u1')).toEqual(['a', 'b']);
    expect(await seenItems(db, 'nobody')).toEqual([]);
    expect(await countInteractions(db)).toEqual({ interactions: 4n, users: 2n, items: 3n });
  });

  it('removes events and returns what they were', async () => {
    await insertInteractions(database(), [event('a'), event('b')]);
    expect(await deleteInteractions(database(), ['a', 'absent'])).toEqual([event('a')]);
    expect(ids(await collect(database()))).toEqual(['b']);
  });

  describe('popularity', () => {
    const popular = async (limit = 10, exclude: string[] = []) =>
      (await topItems(database(), limit, exclude)).map((p) => `${p.itemId}:${p.interactions}`);

    it('knows an item that was noted, once and as one, and counts it at the next count', async () => {
      const db = database();
      await insertInteractions(db, [event('1', { itemId: 'b' }), event('2', { itemId: 'b' })]);
      await noteNewItems(db, []);
      await noteNewItems(db, ['b', 'a', 'b']);
      expect(await popular()).toEqual(['a:1', 'b:1']);
      await refreshPopularity(db);
      expect(await popular()).toEqual(['b:2']);
      await noteNewItems(db, ['b', 'c']);
      expect(await popular()).toEqual(['b:2', 'c:1']);
    });

    it('lets writers that note new items at once wait for one another, and none for ever', async () => {
      const db = database();
      const items = Array.from({ length: 100 }, (_, i) => `i${i}`);
      const note = (n: number) =>
        db.transaction((tx) => noteNewItems(tx, createRandom(n).shuffle([...items])));
      const [noted, commit] = [deferred(), deferred()];
      if (db.kind === 'pglite') commit.resolve();
      // Somebody holds an item in the middle, so that the others are all under way at the same time.
      const holder = db.transaction(async (tx) => {
        await noteNewItems(tx, ['i50']);
        noted.resolve();
        await commit.promise;
      });
      await noted.promise;
      const writers = [1, 2, 3, 4].map(note);
      if (db.kind === 'postgres') {
        await waitFor('the writers to wait', async () => {
          const { rows } = await db.query(
            `SELECT 1 AS one FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'`,
          );
          return rows.length === writers.length;
        });
      }
      commit.resolve();
      await Promise.all([holder, ...writers]);
      expect((await popular(items.length + 1)).length).toBe(items.length);
    });

    it('ranks items by interactions, ties by id, and follows removals at the next count', async () => {
      const db = database();
      await insertInteractions(
        db,
        ['b', 'a', 'c', 'c', 'd'].map((itemId, i) => event(`e${i}`, { itemId })),
      );
      expect(await popular()).toEqual([]);
      await refreshPopularity(db);
      expect(await popular()).toEqual(['c:2', 'a:1', 'b:1', 'd:1']);
      expect(await popular(2, ['c', 'b'])).toEqual(['a:1', 'd:1']);
      await deleteInteractions(db, ['e0', 'e2']);
      await refreshPopularity(db);
      expect(await popular()).toEqual(['a:1', 'c:1', 'd:1']);
    });

    it('leaves out items that the catalogue marks unavailable, not those it does not know', async () => {
      const db = database();
      await insertInteractions(db, [event('1', { itemId: 'off' }), event('2', { itemId: 'new' })]);
      await upsertItems(db, [{ item_id: 'off', available: false }]);
      await refreshPopularity(db);
      expect(await popular()).toEqual(['new:1']);
    });
  });
});
