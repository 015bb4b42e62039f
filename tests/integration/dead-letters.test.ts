/** Rejects on both databases: on to the topic of dead letters, and back into the log. */
import { deadLetterSchema, type DeadLetter } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { EventLogUnavailable } from '@nestrec/errors';
import { openEmbeddedLog, type NewRecord } from '@nestrec/event-log';
import { createDeadLetterForwarder, replayRejects } from '@nestrec/ingest';
import { createRandom } from '@nestrec/random';
import { createMetrics, manualClock, silentLogger } from '@nestrec/runtime';
import {
  countInteractions,
  countRejectsByReason,
  insertRejects,
  listRejects,
  listRejectSummaries,
  purgeRejects,
  type Reject,
} from '@nestrec/storage';
import { beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import {
  faultyDatabase,
  NOW_MS,
  recordOf,
  startIngest,
  TOPIC,
  wipe,
  type TestRecord,
} from '../helpers/ingest-harness.js';
import { conflictWith, makePoison, POISON_KINDS } from '../helpers/poison.js';
import { waitFor } from '../helpers/wait-for.js';

const DEAD = 'interactions.dlq.v1';

/** A topic of dead letters in memory, which can be down, or slow. */
function deadTopic() {
  const records: NewRecord[] = [];
  const appends: number[] = [];
  const topic = {
    topic: DEAD,
    records,
    /** Bytes of each append, as a broker would see a record batch. */
    appends,
    down: false,
    /** Runs once the records are in the topic, before the append resolves. */
    afterAppend: (): Promise<void> => Promise.resolve(),
    append: async (batch: readonly NewRecord[]) => {
      if (topic.down) throw new EventLogUnavailable({ detail: 'the broker is down' });
      records.push(...batch);
      appends.push(batch.reduce((sum, r) => sum + Buffer.byteLength(r.key) + r.value.length, 0));
      await topic.afterAppend();
      return batch.map((_, n) => ({ partition: 0, offset: BigInt(records.length + n) }));
    },
    documents: (): DeadLetter[] =>
      records.map(({ value }) =>
        deadLetterSchema.parse(JSON.parse(new TextDecoder().decode(value))),
      ),
  };
  return topic;
}

const FAST = { pollIntervalMs: 10, retryMs: { first: 1, longest: 5 } };
const IDLE = { pollIntervalMs: 3_600_000 };

const reject = (offset: number, change: Partial<Reject> = {}): Reject => ({
  ...{ topic: TOPIC, partition: 0, offset: BigInt(offset), part: 0 },
  ...{ reason: 'not_json', detail: 'd', key: 'u', value: Uint8Array.of(0x7b), ...change },
});

describeDatabases('dead letters', (database) => {
  let db: Database;
  beforeEach(async () => {
    db = database();
    await wipe(db);
  });

  const start = (
    topic: ReturnType<typeof deadTopic>,
    settings = FAST as Parameters<typeof createDeadLetterForwarder>[0]['settings'],
    on: Database = db,
  ) => {
    const metrics = createMetrics();
    const logger = silentLogger();
    const deps = { db: on, deadLetters: topic, logger, metrics };
    const forwarder = createDeadLetterForwarder({ ...deps, settings: settings ?? {} });
    forwarder.start();
    const metric = async (name: string) =>
      new RegExp(`^${name} (.*)$`, 'm').exec((await metrics.expose()).body)?.[1];
    return { ...forwarder, metric };
  };
  const stored = async () => Number((await countInteractions(db)).interactions);
  const allSent = async () => {
    const rejects = await listRejectSummaries(db, { limit: 10_000 });
    return rejects.length > 0 && rejects.every((one) => one.sentAtMs !== null);
  };

  describe('on their way to the topic', () => {
    it('every kind of poison gets there with its bytes, place and reason, and good events are stored', async () => {
      const topic = deadTopic();
      const run = await startIngest(db, [], { deadLetters: topic, deadLetterSettings: IDLE });
      const poison = POISON_KINDS.map((kind, n) => makePoison(kind, createRandom(n), NOW_MS));
      try {
        for (const [n, one] of poison.entries()) {
          await run.deliver(recordOf({ id: `good${n}`, ago: 60 }), one);
        }
        await waitFor('all dead letters', () => topic.records.length === poison.length);
      } finally {
        await run.ingest.stop();
      }
      const documents = topic.documents();
      expect(documents.map((d) => d.reason)).toEqual(poison.map((p) => p.reason));
      expect(documents.map((d) => d.offset)).toEqual(poison.map((_, n) => String(2 * n + 1)));
      expect(topic.records.map((r) => r.key)).toEqual(poison.map((p) => p.key ?? ''));
      for (const [n, { key, value }] of poison.entries()) {
        const document = documents[n]!;
        expect(document).toMatchObject({
          ...{ schema_version: 1, topic: TOPIC, partition: 0, part: 0, consumer_version: '0.1.0' },
          ...{ key, value_bytes: value?.length ?? null },
        });
        const bytes = document.value_base64;
        const large = (value?.length ?? 0) > 640_000;
        expect(bytes === null).toBe(value === null || large);
        if (bytes !== null) expect(Buffer.from(bytes, 'base64').equals(value!)).toBe(true);
      }
      expect(await stored()).toBe(poison.length);
      const rows = await listRejects(db, { limit: 1_000 });
      for (const [n, { value }] of poison.entries()) {
        const row = rows.find((one) => one.offset === BigInt(2 * n + 1))!;
        expect(row.value === null ? null : Buffer.from(row.value).equals(value!)).toBe(
          value === null ? null : true,
        );
      }
    });

    it('a key that is no UTF-8 keeps its bytes beside its text', async () => {
      const topic = deadTopic();
      const run = await startIngest(db, [], { deadLetters: topic, deadLetterSettings: IDLE });
      const keyBytes = Uint8Array.of(0x75, 0xff, 0x00);
      try {
        await run.deliver({ key: 'u\ufffd\u0000', keyBytes, value: Uint8Array.of(0x7b) });
        await waitFor('the dead letter', () => topic.records.length === 1);
      } finally {
        await run.ingest.stop();
      }
      expect(topic.documents()[0]).toMatchObject({
        ...{ key: 'u\ufffd\u0000', key_base64: Buffer.from(keyBytes).toString('base64') },
      });
      expect((await listRejects(db))[0]).toMatchObject({ key: 'u\ufffd\u0000', keyBytes });
    });

    it('conflicts and events twice in two partitions: the first is stored, only the other body goes on', async () => {
      const topic = deadTopic();
      const run = await startIngest(db, [], { deadLetters: topic, deadLetterSettings: IDLE });
      const first = recordOf({ id: 'e', ago: 1 });
      try {
        await run.deliver(first, first);
        await run.deliverAt(0n, [first, conflictWith(first)], 1);
        await waitFor('the dead letter', () => topic.records.length === 1);
      } finally {
        await run.ingest.stop();
      }
      expect(topic.documents()[0]).toMatchObject({
        ...{ partition: 1, offset: '1', reason: 'event_id_conflict' },
      });
      expect(await stored()).toBe(1);
    });

    it('faults of the database send nothing there', async () => {
      const topic = deadTopic();
      const more = { deadLetters: topic, deadLetterSettings: FAST };
      for (let failAt = 1, failed = true; failed; failAt++) {
        const faulty = faultyDatabase(db, { failAt, transactional: true });
        const run = await startIngest(faulty, [], more);
        failed = await run.deliver({ key: 'u', value: Uint8Array.of(0x7b) }).then(
          () => false,
          () => true,
        );
        await run.ingest.stop();
        expect(failed || failAt > 3).toBe(true);
        if (failed) expect(topic.records).toEqual([]);
      }
      await wipe(db);
      topic.records.length = 0;
      const refused = { ...db, transaction: () => Promise.reject(new Error('down')) } as Database;
      const run = await startIngest(refused, [], more);
      await expect(run.events({ id: 'a' }, { id: 'b' })).rejects.toThrow('down');
      await run.ingest.stop();
      expect(topic.records).toEqual([]);
      expect(await countRejectsByReason(db)).toEqual(new Map());
    });

    it('wait in the table while the topic is down, are counted, and go on when it is back', async () => {
      const topic = deadTopic();
      topic.down = true;
      await insertRejects(db, [reject(1), reject(2)]);
      const forwarder = start(topic);
      try {
        await waitFor(
          'the gauge',
          async () => (await forwarder.metric('rec_dlq_unsent_events')) === '2',
        );
        await insertRejects(db, [reject(3)]);
        await waitFor(
          'the gauge',
          async () => (await forwarder.metric('rec_dlq_unsent_events')) === '3',
        );
        topic.down = false;
        await waitFor('all sent', allSent);
        await waitFor(
          'the gauge',
          async () => (await forwarder.metric('rec_dlq_unsent_events')) === '0',
        );
      } finally {
        await forwarder.stop();
      }
      expect(topic.documents().map((d) => d.offset)).toEqual(['1', '2', '3']);
      expect(Number(await forwarder.metric('rec_dlq_retries_total'))).toBeGreaterThan(0);
    });

    it('are appended again when the mark was lost, and not skipped', async () => {
      const topic = deadTopic();
      await insertRejects(db, [reject(1), reject(2)]);
      let lost = 0;
      const losing: Database = {
        ...db,
        query: (text, params) => {
          const mark = text.includes('SET sent_at') && lost++ === 0;
          return mark ? Promise.reject(new Error('killed')) : db.query(text, params);
        },
      };
      const forwarder = start(topic, FAST, losing);
      await waitFor('all sent', allSent);
      await forwarder.stop();
      expect(topic.documents().map((d) => d.offset)).toEqual(['1', '2', '1', '2']);
    });

    it('are forwarded by one of several processes, in order; another takes over where it stopped', async () => {
      const topic = deadTopic();
      await insertRejects(
        db,
        Array.from({ length: 200 }, (_, n) => reject(n)),
      );
      const small = { ...FAST, pageRows: 10 };
      const [first, second, third] = [
        start(topic, small),
        start(topic, small),
        start(topic, small),
      ];
      await waitFor('some', () => topic.records.length >= 50);
      await first.stop();
      await second.stop();
      await waitFor('all sent', allSent);
      await third.stop();
      const offsets = topic.documents().map((d) => Number(d.offset));
      expect(offsets).toEqual(Array.from({ length: 200 }, (_, n) => n));
    });

    it('a process that froze in an append holds nobody up for longer than its lease', async () => {
      const topic = deadTopic();
      await insertRejects(db, [reject(1), reject(2)]);
      const frozen = deadTopic();
      let thaw = () => {};
      frozen.afterAppend = () => new Promise<void>((resolve) => (thaw = resolve));
      const zombie = start(frozen, { ...FAST, leaseMs: 300 });
      await waitFor('the frozen append', () => frozen.records.length === 2);
      // No transaction is open meanwhile: rejects can be stored, and nothing waits for a lock.
      await insertRejects(db, [reject(3)]);
      const next = start(topic, FAST);
      await waitFor('all sent', allSent);
      thaw();
      await zombie.stop();
      await next.stop();
      expect(topic.documents().map((d) => d.offset)).toEqual(['1', '2', '3']);
    });

    it('fit a broker that takes 1 MB per batch, whatever was set aside', async () => {
      const topic = deadTopic();
      const sizes = [640_000, 640_001, 1_048_577, 10, 300_000, 300_000, 300_000];
      await insertRejects(db, [
        ...sizes.map((size, n) => reject(n, { value: new Uint8Array(size).fill(n) })),
        reject(100, { key: '\u0001'.repeat(900_000), detail: '\u0001'.repeat(900_000) }),
      ]);
      const forwarder = start(topic);
      await waitFor('all sent', allSent);
      await forwarder.stop();
      expect(Math.max(...topic.appends)).toBeLessThan(1_000_000);
      expect(topic.documents().map((d) => [d.value_bytes, d.value_base64 !== null])).toEqual([
        ...[
          [640_000, true],
          [640_001, false],
          [1_048_577, false],
          [10, true],
        ],
        ...[
          [300_000, true],
          [300_000, true],
          [300_000, true],
          [1, true],
        ],
      ]);
    });
  });

  describe('replayed', () => {
    const clock = manualClock(NOW_MS);
    beforeEach(() => clock.set(NOW_MS));
    /** Sets records aside by delivering them. */
    const setAside = async (...records: TestRecord[]) => {
      const run = await startIngest(db);
      await run.deliver(...records);
      await run.ingest.stop();
    };
    /** What the log holds, applied like any other record of it. */
    const apply = async () => {
      const { rows } = await db.query<{ record_key: string; record_value: Uint8Array }>(
        'SELECT record_key, record_value FROM event_log ORDER BY log_offset',
      );
      const records = rows.map((row) => ({ key: row.record_key, value: row.record_value }));
      const run = await startIngest(db);
      run.clock.set(clock.now());
      await run.deliver(...records);
      return records;
    };
    const replay = (options: Parameters<typeof replayRejects>[1] = {}) =>
      replayRejects({ db, log: openEmbeddedLog(db), clock }, options);
    const ahead = (id: string) => recordOf({ id, ago: -60 });
    const broken = { key: 'u', value: Uint8Array.of(0x7b) };

    it('appends those that pass by now, by key and bytes, and leaves the others with their reason', async () => {
      const early = [ahead('a'), ahead('b')];
      await setAside(early[0]!, broken, early[1]!, { key: null, value: null });
      expect(await replay()).toEqual({
        ...{ examined: 4, replayed: 0 },
        failing: { empty_record: 1, future_timestamp: 2, not_json: 1 },
      });
      clock.advance(3_600_000);
      const seen: number[] = [];
      const onProgress = (examined: number, total: number) => void seen.push(examined, total);
      expect(await replay({ onProgress })).toEqual({
        ...{ examined: 4, replayed: 2, failing: { empty_record: 1, not_json: 1 } },
      });
      expect(seen).toEqual([4, 4]);
      expect(await apply()).toEqual(early);
      expect(await stored()).toBe(2);
      const rows = await listRejectSummaries(db);
      expect(rows.map((row) => [row.reason, row.replayedAtMs !== null])).toEqual([
        ['empty_record', false],
        ['future_timestamp', true],
        ['not_json', false],
        ['future_timestamp', true],
      ]);
    });

    it('a dry run says the same and changes nothing', async () => {
      await setAside(ahead('a'), broken);
      clock.advance(3_600_000);
      const said = await replay({ dryRun: true });
      expect(said).toEqual({ examined: 2, replayed: 1, failing: { not_json: 1 } });
      expect(await apply()).toEqual([]);
      expect(await replay()).toEqual(said);
      expect(await apply()).toHaveLength(1);
    });

    it('stores nothing twice: not when repeated, nor when killed between append and mark', async () => {
      await setAside(ahead('a'), ahead('b'));
      clock.advance(3_600_000);
      const killed = {
        ...db,
        query: (text: string, params?: readonly unknown[]) =>
          text.includes('SET replayed_at')
            ? Promise.reject(new Error('killed'))
            : db.query(text, params),
      } as Database;
      const log = openEmbeddedLog(db);
      await expect(replayRejects({ db: killed, log, clock })).rejects.toThrow('killed');
      expect(await replay()).toMatchObject({ examined: 2, replayed: 2 });
      expect(await replay()).toMatchObject({ examined: 0, replayed: 0 });
      expect(await apply()).toHaveLength(4);
      expect(await stored()).toBe(2);
    });

    it('leaves conflicts out unless they are named, and then does not run after those that come back', async () => {
      const first = recordOf({ id: 'e', ago: 1 });
      await setAside(first, conflictWith(first) as TestRecord);
      expect(await replay()).toMatchObject({ examined: 0 });
      const log = openEmbeddedLog(db);
      let offset = 100;
      const rejecting = {
        topic: log.topic,
        // As a running ingest would: set aside again at once.
        append: async () => {
          await insertRejects(db, [
            reject(offset++, { reason: 'event_id_conflict', key: first.key, value: first.value }),
          ]);
          return [];
        },
      };
      const reason = 'event_id_conflict';
      const summary = await replayRejects({ db, log: rejecting, clock }, { reason });
      expect(summary).toMatchObject({ examined: 1, replayed: 1 });
    });

    it('looks at those of the reason and time asked for, the oldest first, up to the limit', async () => {
      await setAside(broken, ahead('a'), ahead('b'), { key: 'u', value: null });
      await db.query(`UPDATE rejects SET rejected_at = '2026-01-01Z' WHERE log_offset < 2`);
      clock.advance(3_600_000);
      expect(await replay({ reason: 'not_json' })).toMatchObject({ examined: 1, replayed: 0 });
      const sinceMs = Date.UTC(2026, 1, 1);
      expect(await replay({ dryRun: true, sinceMs })).toMatchObject({ examined: 2, replayed: 1 });
      expect(await replay({ limit: 2 })).toMatchObject({ examined: 2, replayed: 1 });
      expect(await apply()).toEqual([ahead('a')]);
    });

    it('goes through more rejects than a page holds, a page at a time', async () => {
      const many = Array.from({ length: 1_203 }, (_, n) =>
        reject(n, { reason: 'future_timestamp', ...(n % 3 === 0 ? {} : ahead(`e${n}`)) }),
      );
      await insertRejects(db, many);
      clock.advance(3_600_000);
      expect(await replay()).toEqual({
        examined: 1_203,
        replayed: 802,
        failing: { not_json: 401 },
      });
    });
  });

  it('purge deletes what is older, and keeps what the topic still waits for when asked to', async () => {
    await insertRejects(db, [reject(1), reject(2), reject(3)]);
    await db.query(`UPDATE rejects SET rejected_at = '2026-01-01Z' WHERE log_offset < 3`);
    await db.query('UPDATE rejects SET sent_at = now() WHERE log_offset = 1');
    const beforeMs = Date.UTC(2026, 1, 1);
    expect(await purgeRejects(db, { beforeMs, keepUnsent: true })).toBe(1);
    expect(await purgeRejects(db, { beforeMs, keepUnsent: false })).toBe(1);
    expect((await listRejectSummaries(db)).map((one) => one.offset)).toEqual([3n]);
  });
});
