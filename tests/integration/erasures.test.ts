/** Erasures through the log, on both databases: what goes, what never comes back, and what stays (D16). */
import fc from 'fast-check';
import type { Database } from '@nestrec/database';
import { openEmbeddedLog } from '@nestrec/event-log';
import { getPositions, getUserState, listRejects, readInteractions } from '@nestrec/storage';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { storeEvents } from '../../services/cli/src/commands/import.js';
import { describeDatabases } from '../helpers/databases.js';
import { createErasureModel, type ModelRecord } from '../helpers/erasure-model.js';
import { erasureRecord, snapshot, tablesThatMention } from '../helpers/erasure-records.js';
import {
  accountOf,
  faultyDatabase,
  makeVersion,
  NOW_MS,
  publish,
  recordOf,
  startIngest,
  stateError,
  wipe,
  type TestVersion,
} from '../helpers/ingest-harness.js';
import { waitFor } from '../helpers/wait-for.js';

const USER = 'someone-7f3a';
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

describeDatabases('erasures', (database) => {
  let db: Database;
  let v1: TestVersion;
  beforeAll(() => {
    db = database();
  });
  beforeEach(async () => {
    await wipe(db);
    v1 = await makeVersion(db, 'v1', { seed: 1, rMax: 0.8 });
    await publish(db, 'v1', null);
  });

  const count = async (table: string) =>
    Number((await db.query<{ n: bigint }>(`SELECT count(*) AS n FROM ${table}`)).rows[0]!.n);

  /** Without making the model anew. */
  const emptyTables = () =>
    db.execute(`TRUNCATE interactions, user_states, consumer_positions, rejects, erased_users,
      erased_events, erasures, event_log, event_log_heads`);

  /** Ingest over the embedded log; `write` appends and applies. */
  const startOnLog = async (on: Database = db) => {
    const log = openEmbeddedLog(db);
    const run = await startIngest(on, [v1], {}, { erase: log.erase! });
    const write = async (...records: { key: string; value: Uint8Array }[]) => {
      const [place] = await log.append(records);
      await run.deliverAt(place!.offset, records);
    };
    return { ...run, log, write };
  };

  const history = [
    recordOf({ id: 'a', user: USER, item: 'i1', ago: 30 }),
    recordOf({ id: 'b', user: USER, item: 'i2', ago: 20 }),
    // Ahead of the erasure's clock: erased like everything before it in the log.
    recordOf({ id: 'c', user: USER, item: 'i3', ago: -4 }),
    // Dead letters: by key, by the user in the body, by a conflict.
    { key: USER, value: Uint8Array.of(0x7b) },
    { key: 'another', value: recordOf({ id: 'd', user: USER, ago: 20 }).value },
    recordOf({ id: 'b', user: USER, item: 'i9', ago: 20 }),
  ];

  describe('of a user', () => {
    it('leave nothing of the user in any table, the log included, and nobody else poorer', async () => {
      const run = await startOnLog();
      await run.write(...history, recordOf({ id: 'w1', user: 'w', item: 'i5', ago: 9 }));
      expect(await tablesThatMention(db, USER)).toEqual([
        'event_log',
        'interactions',
        'rejects',
        'user_states',
      ]);
      await run.write(erasureRecord({ user: USER, ago: 1 }));
      expect(await tablesThatMention(db, USER)).toEqual([]);
      expect(await readInteractions(db, ['a', 'b', 'c', 'w1'])).toMatchObject([{ eventId: 'w1' }]);
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
      expect(await run.log.offsets()).toEqual(new Map([[0, { low: 0n, next: 8n }]]));
      expect((await db.query('SELECT events, states, rejects FROM erasures')).rows).toEqual([
        { events: 3, states: 1, rejects: 3 },
      ]);
    });

    it('keep out everything that is sent again, dead letters included, and count it', async () => {
      const run = await startOnLog();
      await run.write(...history);
      await run.write(erasureRecord({ user: USER, ago: 1 }));
      // Not the one whose time cannot be read: nothing tells it from a new fault.
      const again = history.filter((record) => record.value.length > 1);
      await run.write(...again);
      await run.write(...again);
      expect(await tablesThatMention(db, USER)).toEqual([]);
      expect([await count('interactions'), await count('rejects')]).toEqual([0, 0]);
      expect(await run.metric('rec_events_erased_total{kind="user"}')).toBe(8);
      expect(await run.metric('rec_events_erased_total{kind="event"}')).toBe(2);
      expect(await run.metric('rec_erasures_applied_total{kind="user"}')).toBe(1);
    });

    it('let a new history begin, with ids of the old one if need be', async () => {
      const run = await startOnLog();
      await run.write(...history);
      await run.write(erasureRecord({ user: USER, ago: 1 }));
      await run.write(recordOf({ id: 'a', user: USER, item: 'i4', ago: 0 }));
      expect(await readInteractions(db, ['a'])).toMatchObject([{ itemId: 'i4' }]);
      expect(await getUserState(db, USER)).toMatchObject({ eventsInState: 1 });
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
    });

    it('act once: a copy of the same erasure does not take the new history', async () => {
      const run = await startOnLog();
      await run.write(...history, erasureRecord({ user: USER, id: 'x', ago: 1 }));
      await run.write(recordOf({ id: 'new', user: USER, ago: 0 }));
      await run.write(erasureRecord({ user: USER, id: 'x', ago: 1 }));
      expect(await count('interactions')).toBe(1);
      expect(await run.metric('rec_events_duplicate_total{kind="event_id"}')).toBe(1);
      await run.write(erasureRecord({ user: USER, id: 'y', ago: 0 }));
      expect(await tablesThatMention(db, USER)).toEqual([]);
    });

    it('are remembered for a user of whom nothing is known', async () => {
      const run = await startOnLog();
      await run.write(erasureRecord({ user: USER, ago: 5 }));
      await run.write(recordOf({ id: 'late', user: USER, ago: 5 }));
      expect(await tablesThatMention(db, USER)).toEqual([]);
      await run.write(recordOf({ id: 'newer', user: USER, ago: 4 }));
      expect(await count('interactions')).toBe(1);
    });

    it('act at their place among the records of one batch', async () => {
      const run = await startOnLog();
      await run.write(
        recordOf({ id: 'a', user: USER, ago: 9 }),
        recordOf({ id: 'shared', user: USER, ago: 9 }),
        recordOf({ id: 'shared', user: 'w', item: 'i1', ago: 9 }),
        erasureRecord({ user: USER, ago: 8 }),
        recordOf({ id: 'b', user: USER, ago: 8 }),
        recordOf({ id: 'shared', user: 'v', item: 'i2', ago: 9 }),
        recordOf({ id: 'c', user: USER, item: 'i3', ago: 7 }),
      );
      // Before the erasure the id was taken, after it it is free.
      expect(await readInteractions(db, ['shared'])).toMatchObject([{ userId: 'v' }]);
      expect((await listRejects(db)).map((reject) => reject.key)).toEqual(['w']);
      expect(await count('interactions')).toBe(2);
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
      expect(await run.metric('rec_events_applied_total')).toBe(4);
      expect(await run.metric('rec_events_erased_total{kind="user"}')).toBe(1);
    });

    it('do not make the log look like another one to who comes back to it', async () => {
      const run = await startOnLog();
      await run.write(...history, erasureRecord({ user: USER, ago: 1 }));
      await run.log.append([recordOf({ id: 'next', user: 'w' })]);
      const subscription = await run.log.subscribe({
        positions: () => getPositions(db, run.log.topic),
        handler: run.handler,
        maxRecords: 10,
      });
      await waitFor(
        'the next event to be applied',
        async () => (await count('interactions')) === 1,
      );
      expect(subscription.status()).toMatchObject({ failures: 0, lastError: null });
      await run.log.close();
    });

    it('take more events than one statement removes', async () => {
      const run = await startOnLog();
      const from = new Date(NOW_MS - 3_600_000);
      await db.query(
        `INSERT INTO interactions (event_id, user_id, item_id, type, ts)
         SELECT 'many-' || n, $1, 'i1', 'view', $2 FROM generate_series(1, 20001) n`,
        [USER, from],
      );
      await run.write(erasureRecord({ user: USER }));
      expect((await db.query('SELECT events FROM erasures')).rows).toEqual([{ events: 20_001 }]);
      expect(await count('interactions')).toBe(0);
    });

    it('are not undone when the whole log is read again', async () => {
      const run = await startOnLog();
      await run.write(...history, recordOf({ id: 'w1', user: 'w', ago: 9 }));
      await run.write(erasureRecord({ user: USER, ago: 1 }), recordOf({ id: 'n', user: USER }));
      const before = await snapshot(db);
      await db.query('DELETE FROM consumer_positions');
      const records: { key: string | null; value: Uint8Array | null }[] = [];
      const subscription = await run.log.subscribe({
        positions: () => Promise.resolve(new Map()),
        maxRecords: 4,
        handler: async (batch) => {
          await run.handler(batch);
          records.push(...batch.records);
          if (records.length === 9) void subscription.stop();
        },
      });
      await waitFor('the whole log to be read', () => records.length === 9);
      await subscription.stop();
      const after = await snapshot(db);
      expect({ ...after, positions: [] }).toEqual({ ...before, positions: [] });
      expect(await run.metric('rec_events_erased_total{kind="bytes"}')).toBe(7);
      await run.log.close();
    });
  });

  it('keep erased events out of an import, and say how many', async () => {
    const run = await startOnLog();
    await run.write(erasureRecord({ user: USER, ago: 5 }), erasureRecord({ event: 'a' }));
    const event = (eventId: string, userId: string, ago: number) => ({
      ...{ eventId, userId, itemId: 'i1', type: 'view', value: null },
      timestampMs: NOW_MS - ago * 60_000,
    });
    const batch = [
      event('x', USER, 5),
      event('y', USER, 4),
      event('a', 'u', 1),
      event('b', 'u', 9),
    ];
    expect(await storeEvents(db, batch)).toEqual({ stored: 2, erased: 2 });
    expect(await storeEvents(db, batch)).toEqual({ stored: 0, erased: 2 });
    expect((await readInteractions(db, ['x', 'y', 'a', 'b'])).map((e) => e.eventId).sort()).toEqual(
      ['b', 'y'],
    );
  });

  describe('of one event', () => {
    const five = ['a', 'b', 'c', 'd', 'e'].map((id, n) =>
      recordOf({ id, item: `i${n}`, ago: 50 - n }),
    );

    it.each(['a', 'c', 'e'])('take %s out of the state as if it had never been', async (event) => {
      const run = await startOnLog();
      await run.write(...five, recordOf({ id: 'w1', user: 'w', ago: 9 }));
      await run.write(erasureRecord({ event }));
      expect(await readInteractions(db, [event])).toEqual([]);
      expect(await getUserState(db, 'u')).toMatchObject({ eventsInState: 4, edits: 0 });
      expect(await stateError(db, v1)).toBeLessThan(1e-5);
      expect((await db.query('SELECT events, states, rejects FROM erasures')).rows).toEqual([
        { events: 1, states: 1, rejects: 0 },
      ]);
    });

    it('remove the state with the only event', async () => {
      const run = await startOnLog();
      await run.write(recordOf({ id: 'only' }), erasureRecord({ event: 'only' }));
      expect(await getUserState(db, 'u')).toBeNull();
      expect(await count('interactions')).toBe(0);
    });

    it('keep copies out that come later, whatever their time', async () => {
      const run = await startOnLog();
      await run.write(erasureRecord({ event: 'secret-event' }));
      await run.write(recordOf({ id: 'secret-event', ago: 5 }), recordOf({ id: 'other', ago: 4 }));
      await run.write(recordOf({ id: 'secret-event', item: 'i7', ago: -2 }));
      expect(await count('interactions')).toBe(1);
      expect(await tablesThatMention(db, 'secret-event')).toEqual([]);
      expect(await run.metric('rec_events_erased_total{kind="event"}')).toBe(2);
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
    });

    it('take dead letters and the bytes in the log that carry the event, and no others', async () => {
      const run = await startOnLog();
      await run.write(
        recordOf({ id: 'secret-event', item: 'i1', ago: 9 }),
        recordOf({ id: 'secret-event', item: 'i2', ago: 9 }),
        recordOf({ id: 'kept', item: 'i2', ago: 9 }),
        recordOf({ id: 'kept', item: 'i3', ago: 9 }),
      );
      expect(await count('rejects')).toBe(2);
      await run.write(erasureRecord({ event: 'secret-event', id: 'x' }));
      expect(await tablesThatMention(db, 'secret-event')).toEqual([]);
      expect(await count('rejects')).toBe(1);
      expect(await tablesThatMention(db, 'kept')).toEqual([
        'event_log',
        'interactions',
        'rejects',
        'user_states',
      ]);
    });

    it('leave an event of another user with the same id alone', async () => {
      const run = await startOnLog();
      await run.write(recordOf({ id: 'a', user: 'w', ago: 9 }), erasureRecord({ event: 'a' }));
      expect(await readInteractions(db, ['a'])).toMatchObject([{ userId: 'w' }]);
      await run.write(recordOf({ id: 'b', user: 'w', ago: 8 }));
      expect(await stateError(db, v1)).toBeLessThan(1e-6);
    });

    it('take the state away where the model cannot be loaded, so that it is rebuilt', async () => {
      const run = await startOnLog();
      await run.write(...five);
      const log = openEmbeddedLog(db);
      const without = await startIngest(db, [], {}, { erase: log.erase! });
      await without.deliverAt(5n, [erasureRecord({ event: 'b' })]);
      expect(await getUserState(db, 'u')).toBeNull();
      expect(await count('interactions')).toBe(4);
    });
  });

  describe('under faults and at random', () => {
    const before = [
      recordOf({ id: 'a', user: USER, item: 'i1', ago: 30 }),
      recordOf({ id: 'w1', user: 'w', item: 'i2', ago: 30 }),
      recordOf({ id: 'w2', user: 'w', item: 'i3', ago: 20 }),
      { key: USER, value: bytes({ user_id: USER }) },
    ];
    const batch = [
      recordOf({ id: 'b', user: USER, item: 'i2', ago: 9 }),
      erasureRecord({ user: USER, ago: 8 }),
      erasureRecord({ user: 'w', event: 'w1' }),
      recordOf({ id: 'a', user: USER, item: 'i1', ago: 30 }),
      recordOf({ id: 'w3', user: 'w', item: 'i4', ago: 1 }),
    ];
    /** Both batches, with a fault at one statement of the second, which is then delivered again. */
    const withFault = async (fault: Parameters<typeof faultyDatabase>[1]) => {
      await emptyTables();
      const run = await startOnLog();
      await run.write(...before);
      const [place] = await run.log.append(batch);
      const untouched = await snapshot(db);
      const broken = await startIngest(
        faultyDatabase(db, fault),
        [v1],
        {},
        {
          erase: run.log.erase!,
        },
      );
      const failed = await broken.deliverAt(place!.offset, batch).then(
        () => false,
        () => true,
      );
      const afterFault = await snapshot(db);
      if (failed)
        await (
          await startIngest(db, [v1], {}, { erase: run.log.erase! })
        ).deliverAt(place!.offset, batch);
      const error = await stateError(db, v1);
      return { failed, untouched, afterFault, final: await snapshot(db), error };
    };

    it('are applied whole or not at all, whichever statement the connection breaks at', async () => {
      const { final: wanted } = await withFault({ failAt: 0, transactional: true });
      expect(wanted['receipts']).toHaveLength(2);
      let failAt = 1;
      for (; ; failAt++) {
        const { failed, untouched, afterFault, final, error } = await withFault({
          failAt,
          transactional: true,
        });
        expect(final).toEqual(wanted);
        expect(error).toBeLessThan(1e-5);
        expect(await tablesThatMention(db, USER)).toEqual([]);
        if (!failed) break;
        expect(afterFault).toEqual(untouched);
      }
      expect(failAt).toBeGreaterThan(15);
    });

    it('would show: without the transaction a fault leaves receipts that are wrong', async () => {
      const { final: wanted } = await withFault({ failAt: 0, transactional: true });
      const fault = { failAt: 1, transactional: false, text: 'INTO erasures' };
      const { failed, final } = await withFault(fault);
      expect(failed).toBe(true);
      expect(final['receipts']).not.toEqual(wanted['receipts']);
    });

    it('give what the rules say, however records are cut into batches and delivered again', async () => {
      const user = fc.constantFrom('u', 'w');
      const ago = fc.integer({ min: 0, max: 6 });
      const record: fc.Arbitrary<ModelRecord> = fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record({
            kind: fc.constant('event' as const),
            ...{ user, ago, id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f') },
            item: fc.constantFrom('i1', 'i2', 'unknown'),
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({
            kind: fc.constant('user' as const),
            ...{ user, ago, id: fc.constantFrom('x', 'y', 'z') },
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({
            kind: fc.constant('erased-event' as const),
            ...{ user, event: fc.constantFrom('a', 'b', 'c') },
          }),
        },
      );
      const step = fc.record({ record, cut: fc.boolean(), rewind: fc.integer({ min: 0, max: 3 }) });
      const bytesOf = (one: ModelRecord) =>
        one.kind === 'event'
          ? recordOf(one)
          : one.kind === 'user'
            ? erasureRecord(one)
            : erasureRecord({ user: one.user, event: one.event });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
          await emptyTables();
          const run = await startOnLog();
          const model = createErasureModel();
          const records = steps.map((one) => bytesOf(one.record));
          await run.log.append(records);
          let from = 0;
          for (const [n, { record: one, cut, rewind }] of steps.entries()) {
            model.apply(one);
            if (!cut && n < steps.length - 1) continue;
            const first = Math.max(0, from - rewind);
            await run.deliverAt(BigInt(first), records.slice(first, n + 1));
            from = n + 1;
          }
          const { rows } = await db.query(
            'SELECT user_id AS user, event_id AS id, item_id AS item, ts FROM interactions ORDER BY event_id',
          );
          expect(rows).toEqual(
            model.stored().map(({ ago: minutes, ...rest }) => ({
              ...rest,
              ts: new Date(NOW_MS - minutes * 60_000),
            })),
          );
          expect(await count('rejects')).toBe(model.rejects());
          expect(await stateError(db, v1)).toBeLessThan(1e-5);
          const total = async (name: string, ...labels: string[]) => {
            const values = await Promise.all(
              labels.map((label) => run.metric(label === '' ? name : `${name}{${label}}`)),
            );
            return values.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : value), 0);
          };
          expect({
            applied: await total('rec_events_applied_total', ''),
            duplicate: await total('rec_events_duplicate_total', 'kind="event_id"'),
            rejected: await total('rec_dlq_events_total', 'reason="event_id_conflict"'),
            erased: await total('rec_events_erased_total', 'kind="user"', 'kind="event"'),
            erasures: await total('rec_erasures_applied_total', 'kind="user"', 'kind="event"'),
          }).toEqual(model.counts);
          const { read, accounted } = await accountOf(run.metrics);
          expect(read).toBe(accounted);
        }),
        { numRuns: 40 },
      );
    });
  });
});
