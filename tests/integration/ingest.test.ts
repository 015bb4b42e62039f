/** Ingest on both databases: what it stores, how states follow, what it sets aside. */
import fc from 'fast-check';
import type { Database } from '@nestrec/database';
import { openEmbeddedLog } from '@nestrec/event-log';
import { createIngest } from '@nestrec/ingest';
import { createMetrics, manualClock, silentLogger } from '@nestrec/runtime';
import {
  countRejectsByReason,
  getPositions,
  getUserState,
  listRejects,
  markDeleted,
  readInteractions,
} from '@nestrec/storage';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { waitFor } from '../helpers/wait-for.js';
import {
  accountOf,
  faultyDatabase,
  makeVersion,
  NOW_MS,
  publish,
  putVector,
  recordOf,
  startIngest,
  stateError,
  TOPIC,
  wipe,
  type DraftEvent,
} from '../helpers/ingest-harness.js';

describeDatabases('ingest', (database) => {
  let db: Database;
  beforeAll(() => {
    db = database();
  });
  beforeEach(() => wipe(db));

  const interactionsOf = async () =>
    Number((await db.query<{ n: bigint }>('SELECT count(*) AS n FROM interactions')).rows[0]!.n);

  describe('events', () => {
    it('stores events, steps the states of the published model and moves the position', async () => {
      const v1 = await makeVersion(db, 'v1', { seed: 1 });
      await publish(db, 'v1', null);
      const run = await startIngest(db, [v1]);
      await run.events({ id: 'a', ago: 3 }, { id: 'b', user: 'w', item: 'i4', ago: 2 });
      await run.events({ id: 'c', item: 'i5', ago: 1 });
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
      expect(await getUserState(db, 'u')).toMatchObject({
        ...{ modelVersion: 'v1', lastItemId: 'i5', eventsInState: 2, newestEventId: 'c' },
        ...{ newestTimestampMs: NOW_MS - 60_000, unknownEvents: 0, edits: 0 },
      });
      expect((await getPositions(db, TOPIC)).get(0)?.nextOffset).toBe(3n);
      expect(run.ingest.appliedUpTo().get(0)).toBe(3n);
      expect(await run.metric('rec_events_applied_total')).toBe(3);
      expect(await run.metric('rec_states_updated_total{way="step"}')).toBe(1);
      expect(run.loaded).toEqual(['v1']);
    });

    it('gives the state of the ordered history, whatever order events and batches come in', async () => {
      const scenario = fc.record({
        seed: fc.integer({ min: 1, max: 1_000 }),
        blocks: fc.constantFrom(1, 2),
        events: fc.array(
          fc.record({
            user: fc.constantFrom('u', 'v', 'w'),
            item: fc.integer({ min: 0, max: 13 }),
            ago: fc.integer({ min: 0, max: 40 }),
            cut: fc.boolean(),
          }),
          { minLength: 1, maxLength: 60 },
        ),
      });
      await fc.assert(
        fc.asyncProperty(scenario, async ({ seed, blocks, events }) => {
          await wipe(db);
          // Items i12 and i13 are unknown to the model.
          const v1 = await makeVersion(db, 'v1', { seed, blocks, items: 12 });
          await publish(db, 'v1', null);
          const run = await startIngest(db, [v1]);
          let batch: DraftEvent[] = [];
          for (const [n, { user, item, ago, cut }] of events.entries()) {
            batch.push({ id: `e${(n * 7) % 61}`, user, item: `i${item}`, ago });
            if (cut) {
              await run.events(...batch);
              batch = [];
            }
          }
          if (batch.length > 0) await run.events(...batch);
          expect(await interactionsOf()).toBe(events.length);
          expect(await stateError(db, v1)).toBeLessThan(1e-5);
        }),
        { numRuns: 15 },
      );
    });

    it('inserts one late event by the closed form, and refolds after three edits', async () => {
      const v1 = await makeVersion(db, 'v1', { seed: 2, rMax: 0.9 });
      await publish(db, 'v1', null);
      const run = await startIngest(db, [v1]);
      await run.events({ id: 'a', ago: 50 }, { id: 'b', item: 'i1', ago: 40 });
      const edits: number[] = [];
      for (let n = 0; n < 5; n++) {
        await run.events({ id: `late${n}`, item: `i${n + 2}`, ago: 45 - n * 0.1 });
        await run.events({ id: `new${n}`, item: 'i9', ago: 30 - n });
        edits.push((await getUserState(db, 'u'))!.edits);
        expect(await stateError(db, v1)).toBeLessThan(1e-5);
      }
      expect(edits).toEqual([1, 2, 3, 0, 1]);
      expect((await getUserState(db, 'u'))!.eventsInState).toBe(12);
    });

    it('stores an event once, however often it is delivered, and moves nothing back', async () => {
      const v1 = await makeVersion(db, 'v1', { seed: 3 });
      await publish(db, 'v1', null);
      const run = await startIngest(db, [v1]);
      const records = Array.from({ length: 6 }, (_, n) =>
        recordOf({ id: `e${n}`, item: `i${n}`, ago: 10 - n }),
      );
      await run.deliverAt(0n, records.slice(0, 4));
      await run.deliverAt(0n, records);
      await run.deliverAt(2n, records.slice(2, 5));
      // The same event appended twice: two offsets, one id.
      await run.deliverAt(6n, [records[0]!, records[5]!, recordOf({ id: 'e6', ago: 1 })]);
      await run.deliverAt(9n, [recordOf({ id: 'e7', ago: 0 }), recordOf({ id: 'e7', ago: 0 })]);
      expect(await interactionsOf()).toBe(8);
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
      expect((await getUserState(db, 'u'))!.eventsInState).toBe(8);
      expect((await getPositions(db, TOPIC)).get(0)?.nextOffset).toBe(11n);
      expect(await run.metric('rec_events_duplicate_total{kind="offset"}')).toBe(7);
      expect(await run.metric('rec_events_duplicate_total{kind="event_id"}')).toBe(3);
      expect(await listRejects(db)).toEqual([]);
    });

    it('keeps the first of two bodies under one event_id and sets the second aside', async () => {
      const v1 = await makeVersion(db, 'v1', { seed: 4 });
      await publish(db, 'v1', null);
      const run = await startIngest(db, [v1]);
      const second = recordOf({ id: 'e', item: 'i2', ago: 1 });
      await run.deliver(recordOf({ id: 'e', item: 'i1', ago: 1 }), second);
      await run.deliver(recordOf({ id: 'e', user: 'other', item: 'i1', ago: 1 }));
      expect(await readInteractions(db, ['e'])).toMatchObject([{ userId: 'u', itemId: 'i1' }]);
      const rejects = await listRejects(db);
      expect(rejects.map((r) => [r.offset, r.reason])).toEqual([
        [2n, 'event_id_conflict'],
        [1n, 'event_id_conflict'],
      ]);
      expect(rejects[1]!.value).toEqual(second.value);
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
    });

    it('sets poison aside with its bytes and reason, and applies everything around it', async () => {
      const v1 = await makeVersion(db, 'v1', { seed: 5 });
      await publish(db, 'v1', null);
      const run = await startIngest(db, [v1]);
      const body = JSON.parse(new TextDecoder().decode(recordOf({ id: 'x' }).value)) as object;
      const of = (change: object, key = 'u') => ({
        key,
        value: new TextEncoder().encode(JSON.stringify({ ...body, ...change })),
      });
      const raw = (value: Uint8Array | string) => ({
        key: 'u',
        value: typeof value === 'string' ? new TextEncoder().encode(value) : value,
      });
      const poison: [string, { key: string; value: Uint8Array }][] = [
        ['empty_record', raw('')],
        ['not_json', raw('{"schema_version":1')],
        ['not_json', raw('\ufeff{}')],
        ['not_utf8', raw(Uint8Array.of(0xff, 0xfe, 0x7b, 0x00))],
        ['not_utf8', raw(Uint8Array.of(0x22, 0xc3, 0x28, 0x22))],
        ['not_an_object', raw('null')],
        ['not_an_object', raw('7')],
        ['not_an_object', raw('[{"schema_version":1}]')],
        ['unknown_schema_version', of({ schema_version: 2 })],
        ['unknown_schema_version', of({ schema_version: undefined })],
        ['unknown_schema_version', raw('{"__proto__":{"schema_version":1}}')],
        ['invalid_id', of({ event_id: undefined })],
        ['invalid_id', of({ user_id: 7 })],
        ['invalid_id', of({ item_id: '' })],
        ['invalid_id', of({ item_id: 'a\u0000b' })],
        ['invalid_id', of({ item_id: 'x'.repeat(257) })],
        ['invalid_id', raw(JSON.stringify({ ...body, item_id: '?' }).replace('"?"', '"\\ud800"'))],
        ['invalid_event', of({ extra: 1 })],
        ['invalid_event', of({ timestamp_ms: '2026-11-23' })],
        ['invalid_event', of({ timestamp_ms: null })],
        ['invalid_event', of({ value: 'much' })],
        ['invalid_event', of({ type: 'NUL\u0000' })],
        ['reserved_type', of({ type: 'erase_all' })],
        ['invalid_event', of({ type: 'erase_user' })],
        ['key_mismatch', of({}, 'someone-else')],
        ['future_timestamp', of({ timestamp_ms: NOW_MS + 5 * 60_000 + 1 })],
        ['ancient_timestamp', of({ timestamp_ms: Date.UTC(1999, 11, 31) })],
      ];
      const records = poison.flatMap(([, record], n) => [
        recordOf({ id: `good${n}`, item: `i${n % 12}`, ago: 60 - n }),
        record,
      ]);
      await run.deliver(...records);
      const rejects = (await listRejects(db)).sort((a, b) => Number(a.offset - b.offset));
      expect(rejects.map((r) => r.reason)).toEqual(poison.map(([reason]) => reason));
      expect(rejects.map((r) => r.value)).toEqual(poison.map(([, record]) => record.value));
      expect(rejects.map((r) => Number(r.offset))).toEqual(poison.map((_, n) => 2 * n + 1));
      for (const { detail } of rejects) expect(detail.length).toBeLessThan(250);
      expect(await interactionsOf()).toBe(poison.length);
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
      expect(await run.metric('rec_dlq_events_total{reason="not_json"}')).toBe(2);
      await run.deliverAt(0n, records);
      expect(await accountOf(run.metrics)).toEqual({
        read: 2 * records.length,
        accounted: 2 * records.length,
      });
    });

    it('a timestamp just inside the limits is taken', async () => {
      const run = await startIngest(db);
      await run.events({ id: 'a', ago: -5 });
      await run.events({ id: 'b', ago: (NOW_MS - Date.UTC(2000, 0, 1)) / 60_000 });
      expect(await interactionsOf()).toBe(2);
    });
  });

  describe('models', () => {
    it('stores interactions without states while nothing is published, and catches up after', async () => {
      const v1 = await makeVersion(db, 'v1', { seed: 6 });
      const run = await startIngest(db, [v1]);
      await run.events({ id: 'a', ago: 3 }, { id: 'b', item: 'i1', ago: 2 });
      expect(await getUserState(db, 'u')).toBeNull();
      expect(await interactionsOf()).toBe(2);
      await publish(db, 'v1', null);
      await run.events({ id: 'c', item: 'i2', ago: 1 });
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
    });

    it('rebuilds a state of another version when it touches it, and back after a rollback', async () => {
      const versions = [
        await makeVersion(db, 'v1', { seed: 7 }),
        await makeVersion(db, 'v2', { seed: 8, blocks: 2 }),
      ];
      await publish(db, 'v1', null);
      const run = await startIngest(db, versions);
      await run.events({ id: 'a', ago: 9 }, { id: 'b', item: 'i1', ago: 8 });
      await publish(db, 'v2', 'v1');
      await run.events({ id: 'c', item: 'i2', ago: 7 });
      expect(await stateError(db, versions[1]!)).toBeLessThan(1e-6);
      await publish(db, 'v1', 'v2');
      await run.events({ id: 'd', item: 'i3', ago: 6 });
      expect(await stateError(db, versions[0]!)).toBeLessThan(1e-6);
      expect(run.loaded).toEqual(['v1', 'v2']);
    });

    it('rebuilds and steps many users in one batch, each with its own events', async () => {
      const versions = [
        await makeVersion(db, 'v1', { seed: 20, blocks: 2 }),
        await makeVersion(db, 'v2', { seed: 21, blocks: 2 }),
      ];
      await publish(db, 'v1', null);
      const run = await startIngest(db, versions);
      const round = (n: number, users: number) =>
        Array.from({ length: 3 * users }, (_, i) => ({
          ...{ id: `${n}-${i}`, user: `u${i % users}`, item: `i${(7 * i + n) % 12}` },
          ago: 600 - 200 * n - i,
        }));
      await run.events(...round(0, 40));
      expect(await stateError(db, versions[0]!)).toBeLessThan(1e-6);
      await publish(db, 'v2', 'v1');
      // Those 30 are rebuilt; then they are stepped beside 10 that are rebuilt.
      await run.events(...round(1, 30));
      await run.events(...round(2, 40));
      expect(await stateError(db, versions[1]!)).toBeLessThan(1e-6);
      expect(await run.metric('rec_states_updated_total{way="step"}')).toBe(30);
      expect(await run.metric('rec_states_updated_total{way="rebuild"}')).toBe(80);
    });

    it('stores events of unknown items, and steps them once the item is known', async () => {
      const v1 = await makeVersion(db, 'v1', { seed: 9 });
      await publish(db, 'v1', null);
      const run = await startIngest(db, [v1]);
      await run.events({ id: 'a', item: 'i1', ago: 9 });
      await run.events({ id: 'b', item: 'new', ago: 8 }, { id: 'c', item: 'i2', ago: 7 });
      expect(await getUserState(db, 'u')).toMatchObject({ unknownEvents: 1, eventsInState: 2 });
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
      v1.vectors.set(
        'new',
        v1.vectors.get('i7')!.map((value) => -value),
      );
      await putVector(db, 'v1', 'new', v1.vectors.get('new')!);
      await run.events({ id: 'd', item: 'i3', ago: 6 });
      expect(await getUserState(db, 'u')).toMatchObject({ unknownEvents: 0, eventsInState: 4 });
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
      expect(await run.metric('rec_events_unknown_item_total')).toBe(1);
    });

    it('lets an item be deleted that only its events speak of, from the first one on', async () => {
      const deletable = async (...itemIds: string[]) => {
        const marked: boolean[] = [];
        for (const itemId of itemIds) marked.push(await markDeleted(db, itemId));
        return marked;
      };
      const v1 = await makeVersion(db, 'v1', { seed: 1, items: 6 });
      const run = await startIngest(db, [v1]);
      await run.events({ id: 'a', item: 'before any model' });
      expect(await deletable('before any model', 'nobody knows')).toEqual([true, false]);
      await publish(db, 'v1', null);
      await run.events(
        { id: 'b', item: 'unknown to the model', ago: 2 },
        { id: 'c', item: 'i3', ago: 1 },
      );
      expect(await deletable('unknown to the model', 'i3')).toEqual([true, true]);
      // What the model knows costs ingest nothing.
      const { rows } = await db.query('SELECT item_id FROM item_popularity ORDER BY item_id');
      expect(rows.map((row) => row.item_id)).toEqual(['before any model', 'unknown to the model']);
    });

    it('goes on storing when the model cannot be loaded, drops the states it cannot carry, retries', async () => {
      const v1 = await makeVersion(db, 'v1', { seed: 10 });
      await publish(db, 'v1', null);
      const good = await startIngest(db, [v1]);
      await good.events({ id: 'a', ago: 9 }, { id: 'b', user: 'w', ago: 9 });
      const versions: (typeof v1)[] = [];
      const run = await startIngest(db, versions);
      await run.events({ id: 'c', ago: 8 });
      await run.events({ id: 'd', ago: 7 });
      expect(run.loaded).toEqual(['v1']);
      expect(await getUserState(db, 'u')).toBeNull();
      expect(await getUserState(db, 'w')).not.toBeNull();
      expect(await interactionsOf()).toBe(4);
      versions.push(v1);
      run.clock.advance(30_000);
      await run.events({ id: 'e', ago: 6 });
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
    });

    it('rebuilds a state whose bytes are damaged', async () => {
      const v1 = await makeVersion(db, 'v1', { seed: 11 });
      await publish(db, 'v1', null);
      const run = await startIngest(db, [v1]);
      await run.events({ id: 'a', ago: 9 });
      await db.query('UPDATE user_states SET state = $1', [Uint8Array.of(1, 2, 3)]);
      await run.events({ id: 'b', item: 'i1', ago: 8 });
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
    });
  });

  describe('faults below ingest', () => {
    const batches = [
      [recordOf({ id: 'a', ago: 9 }), recordOf({ id: 'b', user: 'w', item: 'i1', ago: 8 })],
      [recordOf({ id: 'c', item: 'i2', ago: 7 }), { key: 'u', value: Uint8Array.of(0x7b) }],
    ];
    /** Both batches with a fault at one statement of the second; says how wrong things are after. */
    const withFault = async (failAt: number, transactional: boolean) => {
      await wipe(db);
      const v1 = await makeVersion(db, 'v1', { seed: 12 });
      await publish(db, 'v1', null);
      await (await startIngest(db, [v1])).deliver(...batches[0]!);
      const faulty = faultyDatabase(db, { failAt, transactional });
      const broken = await startIngest(faulty, [v1]);
      const failed = await broken.deliver(...batches[1]!).then(
        () => false,
        () => true,
      );
      const rejectsAfterFault = (await countRejectsByReason(db)).size;
      const after = await startIngest(db, [v1]);
      if (failed) await after.deliverAt(2n, batches[1]!);
      return {
        ...{ failed, rejectsAfterFault, error: await stateError(db, v1) },
        ...{ stored: await interactionsOf(), rejects: (await listRejects(db)).length },
      };
    };

    it('lose, double or set aside nothing, whichever statement the connection breaks at', async () => {
      let failAt = 1;
      for (; ; failAt++) {
        const { failed, rejectsAfterFault, error, stored, rejects } = await withFault(failAt, true);
        expect({ failAt, stored, rejects }).toEqual({ failAt, stored: 3, rejects: 1 });
        expect(error).toBeLessThan(1e-6);
        if (!failed) break;
        expect(rejectsAfterFault).toBe(0);
      }
      expect(failAt).toBeGreaterThan(6);
    });

    it('would show: without the transaction the same faults leave a wrong state', async () => {
      const errors: number[] = [];
      for (let failAt = 1; ; failAt++) {
        const { failed, error } = await withFault(failAt, false);
        errors.push(error);
        if (!failed) break;
      }
      expect(Math.max(...errors)).toBeGreaterThan(1e-3);
    });

    it('are counted as retries by their code', async () => {
      const broken = await startIngest(faultyDatabase(db, { failAt: 1, transactional: true }));
      await expect(broken.events({ id: 'a' })).rejects.toMatchObject({
        code: 'database_unavailable',
      });
      expect(await broken.metric('rec_ingest_retries_total{code="database_unavailable"}')).toBe(1);
    });

    it('a batch that begins above the stored position is refused, whoever moved that back', async () => {
      const run = await startIngest(db);
      await run.events({ id: 'a' }, { id: 'b' }, { id: 'c' });
      await db.query('UPDATE consumer_positions SET next_offset = 1');
      await expect(run.events({ id: 'd' })).rejects.toThrow(/from offset 1, got them from 3/);
      expect(await interactionsOf()).toBe(3);
      await run.deliverAt(
        1n,
        ['b', 'c', 'd'].map((id) => recordOf({ id })),
      );
      expect(await interactionsOf()).toBe(4);
    });

    it('a value that only the database refuses is set aside alone', async () => {
      await db.execute(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF NEW.item_id = 'i3' THEN RAISE EXCEPTION 'no' USING ERRCODE = '22003'; END IF;
      RETURN NEW; END $$; CREATE TRIGGER refuse BEFORE INSERT ON interactions
      FOR EACH ROW EXECUTE FUNCTION refuse()`);
      try {
        const run = await startIngest(db);
        await run.events({ id: 'a' }, { id: 'b', item: 'i3' }, { id: 'c' });
        expect(await interactionsOf()).toBe(2);
        expect(await listRejects(db)).toMatchObject([
          { offset: 1n, reason: 'refused_by_database' },
        ]);
      } finally {
        await db.execute('DROP TRIGGER refuse ON interactions; DROP FUNCTION refuse()');
      }
    });
  });

  describe('the embedded log', () => {
    it('shows how many events wait while the database refuses transactions', async () => {
      const metrics = createMetrics();
      const log = openEmbeddedLog(db, { retryMs: { first: 1, longest: 5 } });
      await log.append([recordOf({ id: 'a' }), recordOf({ id: 'b' }), recordOf({ id: 'c' })]);
      const refused = { ...db, transaction: () => Promise.reject(new Error('no')) } as Database;
      const ingest = createIngest({
        ...{ db: refused, log, clock: manualClock(NOW_MS), logger: silentLogger(), metrics },
        settings: { lagIntervalMs: 5 },
      });
      await ingest.start();
      try {
        await waitFor('the lag to show', async () =>
          /rec_consumer_lag_events\{partition="0"\} 3\n/.test((await metrics.expose()).body),
        );
        await waitFor('check to fail', () =>
          ingest.check().then(
            () => false,
            () => true,
          ),
        );
      } finally {
        await ingest.stop();
        await log.close();
      }
    });

    it('lets a caller wait until its own events are in the state', async () => {
      const v1 = await makeVersion(db, 'v1', { seed: 13 });
      await publish(db, 'v1', null);
      const log = openEmbeddedLog(db);
      const ingest = createIngest({
        ...{
          db,
          log,
          clock: manualClock(NOW_MS),
          logger: silentLogger(),
          metrics: createMetrics(),
        },
        loadModel: (version) =>
          Promise.resolve({ version, cell: v1.cell, replayEvents: v1.cell.replayEvents }),
      });
      await expect(ingest.check()).rejects.toMatchObject({ code: 'event_log_unavailable' });
      await ingest.start();
      try {
        const ids = Array.from({ length: 30 }, (_, n) => n);
        const places = await Promise.all(
          ids.map((n) => log.append([recordOf({ id: `e${n}`, item: `i${n % 12}`, ago: 60 - n })])),
        );
        expect(await ingest.waitFor(places.flat(), 10_000)).toBe(true);
        expect(await stateError(db, v1)).toBeLessThan(1e-5);
        expect(await ingest.waitFor([{ partition: 0, offset: 30n }], 20)).toBe(false);
        await ingest.check();
        const waiting = ingest.waitFor([{ partition: 0, offset: 30n }], 10_000);
        await ingest.stop();
        expect(await waiting).toBe(false);
        await log.append([recordOf({ id: 'after', ago: 0 })]);
        expect(await interactionsOf()).toBe(30);
      } finally {
        await ingest.stop();
        await log.close();
      }
    });
  });
});
