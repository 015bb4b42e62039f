/**
 * What every event log promises. A further implementation is one more entry of LOGS; nothing below
 * assumes one partition, offsets without holes, or a database.
 */
import {
  fingerprintOf,
  openEmbeddedLog,
  openKafkaLog,
  type EventLog,
  type LogRecord,
  type ReaderPosition,
} from '@nestrec/event-log';
import { EventLogUnavailable } from '@nestrec/errors';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  openTestPglite,
  openTestPostgres,
  postgresMissing,
  type TestDatabase,
} from '../helpers/databases.js';
import { kafkaMissing, testBrokers } from '../helpers/brokers.js';
import { kafkaTestConfig } from '../helpers/kafka-log.js';
import { waitFor } from '../helpers/wait-for.js';

interface Broker {
  /** Opens log objects on one new, empty topic; several stand for several processes. */
  newTopic(): Promise<() => EventLog>;
  dispose(): Promise<void>;
}

interface LogEntry {
  readonly name: string;
  readonly missing: string | null;
  start(): Promise<Broker>;
}

const RETRY_MS = { first: 5, longest: 50 };
let topics = 0;

const embedded = async ({ db, dispose }: TestDatabase): Promise<Broker> => ({
  newTopic: async () => {
    const topic = `topic-${topics++}`;
    return () => openEmbeddedLog(db, { topic, retryMs: RETRY_MS, pollIntervalMs: 20 });
  },
  dispose,
});

const kafka = async (): Promise<Broker> => ({
  newTopic: async () => {
    const config = kafkaTestConfig(testBrokers());
    // Two cores shared with other tests: creating a topic may take longer than a client would wait.
    return () => openKafkaLog({ config, retryMs: RETRY_MS, appendTimeoutMs: 20_000 });
  },
  dispose: () => Promise.resolve(),
});

const LOGS: LogEntry[] = [
  {
    name: 'embedded log on PGlite',
    missing: null,
    start: async () => embedded(await openTestPglite()),
  },
  {
    name: 'embedded log on PostgreSQL',
    missing: postgresMissing(),
    start: async () => embedded(await openTestPostgres()),
  },
  { name: 'Kafka', missing: kafkaMissing(), start: kafka },
];

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (record: LogRecord) => new TextDecoder().decode(record.value!);

/** Applies batches to memory as ingest applies them to the database: effects and positions together. */
function createApplier() {
  const positions = new Map<number, ReaderPosition>();
  const applied: { partition: number; record: LogRecord }[] = [];
  return {
    applied,
    texts: () => applied.map(({ record }) => text(record)),
    positions: async () => new Map(positions),
    apply: (batch: { partition: number; records: readonly LogRecord[] }) => {
      for (const record of batch.records) applied.push({ partition: batch.partition, record });
      const last = batch.records.at(-1)!;
      const fingerprint = fingerprintOf(last);
      positions.set(batch.partition, { nextOffset: last.offset + 1n, fingerprint });
    },
  };
}

for (const entry of LOGS) {
  const label = entry.missing === null ? entry.name : `${entry.name} (${entry.missing})`;
  describe.skipIf(entry.missing !== null)(label, () => {
    let broker: Broker;
    let open: () => EventLog;
    let log: EventLog;
    beforeAll(async () => {
      broker = await entry.start();
    });
    afterAll(() => broker.dispose());
    beforeEach(async () => {
      open = await broker.newTopic();
      log = open();
    });
    afterEach(() => log.close());

    it('delivers what is appended, with key, bytes and time, before and after subscribing', async () => {
      const applier = createApplier();
      const before = Date.now() - 60_000;
      const value = new Uint8Array([0, 255, 10]);
      const places = await log.append([{ key: 'ü', value }]);
      await log.subscribe({
        positions: applier.positions,
        handler: async (batch) => applier.apply(batch),
        maxRecords: 10,
      });
      await log.append([{ key: 'k', value: new Uint8Array() }]);
      await waitFor('both records', () => applier.applied.length === 2);
      const first = applier.applied.find(({ record }) => record.key === 'ü')!;
      expect(first.record.value).toEqual(value);
      expect({ partition: first.partition, offset: first.record.offset }).toEqual(places[0]);
      expect(first.record.appendedAtMs).toBeGreaterThan(before);
      expect(first.record.appendedAtMs).toBeLessThan(Date.now() + 60_000);
    });

    it('keeps the order of each key under many concurrent appenders, and loses nothing', async () => {
      const applier = createApplier();
      const appenders = [open(), open(), open()];
      await log.subscribe({
        positions: applier.positions,
        handler: async (batch) => applier.apply(batch),
        maxRecords: 7,
      });
      await Promise.all(
        Array.from({ length: 12 }, async (_, a) => {
          for (let i = 0; i < 10; i++) {
            const record = (n: number) => ({ key: `user-${a}`, value: bytes(`${a}:${2 * i + n}`) });
            await appenders[a % 3]!.append([record(0), record(1)]);
          }
        }),
      );
      await waitFor('240 records', () => applier.applied.length >= 240);
      for (let a = 0; a < 12; a++) {
        const own = applier.texts().filter((t) => t.startsWith(`${a}:`));
        expect(own).toEqual(Array.from({ length: 20 }, (_, i) => `${a}:${i}`));
      }
      for (const partition of new Set(applier.applied.map((x) => x.partition))) {
        const offsets = applier.applied
          .filter((x) => x.partition === partition)
          .map((x) => x.record.offset);
        expect(offsets.every((o, i) => i === 0 || o > offsets[i - 1]!)).toBe(true);
      }
      await Promise.all(appenders.map((appender) => appender.close()));
    });

    it('gives one key one partition and one batch of records at most maxRecords', async () => {
      const places = await log.append(
        Array.from({ length: 25 }, (_, i) => ({ key: 'same', value: bytes(String(i)) })),
      );
      expect(new Set(places.map((place) => place.partition)).size).toBe(1);
      const sizes: number[] = [];
      const applier = createApplier();
      await log.subscribe({
        positions: applier.positions,
        handler: async (batch) => {
          sizes.push(batch.records.length);
          applier.apply(batch);
        },
        maxRecords: 10,
      });
      await waitFor('25 records', () => applier.applied.length === 25);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
    });

    it('starts where the stored positions say', async () => {
      const places = await log.append(
        ['a', 'b', 'c'].map((t) => ({ key: 'same', value: bytes(t) })),
      );
      const applier = createApplier();
      const { partition, offset } = places[2]!;
      await log.subscribe({
        positions: async () => new Map([[partition, { nextOffset: offset, fingerprint: null }]]),
        handler: async (batch) => applier.apply(batch),
        maxRecords: 10,
      });
      await waitFor('the third record', () => applier.applied.length > 0);
      expect(applier.texts()).toEqual(['c']);
    });

    it('tries a failing batch again from the stored position, for as long as it takes', async () => {
      const applier = createApplier();
      let failures = 0;
      const subscription = await log.subscribe({
        positions: applier.positions,
        handler: async (batch) => {
          if (failures < 8) {
            failures++;
            // Programming errors stop kafkajs for good; here they are failures like others.
            throw failures % 2 === 0 ? new TypeError('broken') : new Error('database down');
          }
          applier.apply(batch);
        },
        maxRecords: 10,
      });
      await log.append([{ key: 'k', value: bytes('x') }]);
      await waitFor('retrying', () => subscription.status().state === 'retrying');
      expect(subscription.status().lastError).toBeInstanceOf(Error);
      await waitFor('the record', () => applier.texts().includes('x'));
      await waitFor('running', () => subscription.status().state === 'running');
      expect(subscription.status()).toMatchObject({ lastError: null, failures: 0 });
      expect([failures, applier.texts()]).toEqual([8, ['x']]);
    });

    it('goes on after the positions could not be read', async () => {
      const applier = createApplier();
      let asked = 0;
      await log.subscribe({
        positions: async () => {
          if (++asked < 4) throw new Error('database down');
          return applier.positions();
        },
        handler: async (batch) => applier.apply(batch),
        maxRecords: 10,
      });
      await log.append([{ key: 'k', value: bytes('x') }]);
      await waitFor('the record', () => applier.texts().includes('x'));
    });

    it('stops at a batch border: waits for the handler that runs, starts none after', async () => {
      let release = () => {};
      const entered = new Promise<void>((enter) => {
        void log.subscribe({
          positions: async () => new Map(),
          handler: async () => {
            calls++;
            enter();
            await new Promise<void>((resolve) => (release = resolve));
            finished = true;
          },
          maxRecords: 1,
        });
      });
      let calls = 0;
      let finished = false;
      await log.append([1, 2, 3].map((i) => ({ key: 'k', value: bytes(String(i)) })));
      await entered;
      const closing = log.close().then(() => finished);
      release();
      expect(await closing).toBe(true);
      expect(calls).toBe(1);
    });

    it('stops at once while it waits for records and while it pauses after a failure', async () => {
      const idle = await log.subscribe({
        positions: async () => new Map(),
        handler: async () => {},
        maxRecords: 1,
      });
      const failing = await log.subscribe({
        positions: async () => {
          throw new Error('always');
        },
        handler: async () => {},
        maxRecords: 1,
      });
      await waitFor('a failure', () => failing.status().failures > 0);
      await Promise.all([idle.stop(), failing.stop(), failing.stop()]);
      expect([idle.status().state, failing.status().state]).toEqual(['stopped', 'stopped']);
    });

    it('serves several groups, each from its own position', async () => {
      const appliers = [createApplier(), createApplier()];
      for (const [n, applier] of appliers.entries()) {
        await log.subscribe({
          group: `readers-${n}-${log.topic}`,
          positions: applier.positions,
          handler: async (batch) => applier.apply(batch),
          maxRecords: 3,
        });
      }
      await log.append(['a', 'b', 'c', 'd'].map((t) => ({ key: 'k', value: bytes(t) })));
      for (const applier of appliers) {
        await waitFor('four records', () => applier.applied.length === 4);
        expect(applier.texts()).toEqual(['a', 'b', 'c', 'd']);
      }
    });

    it('says what it holds, for lag', async () => {
      const sum = (ranges: Map<number, { low: bigint; next: bigint }>) =>
        [...ranges.values()].reduce((total, range) => total + range.next - range.low, 0n);
      expect(sum(await log.offsets())).toBe(0n);
      const places = await log.append([1, 2, 3].map(() => ({ key: 'k', value: bytes('x') })));
      const range = (await log.offsets()).get(places[2]!.partition)!;
      expect(range.next).toBeGreaterThan(places[2]!.offset);
      expect(range.low).toBeLessThanOrEqual(places[0]!.offset);
    });

    it('appends nothing for an empty list, and refuses to work once closed', async () => {
      expect(await log.append([])).toEqual([]);
      await log.close();
      await log.close();
      await expect(log.append([{ key: 'k', value: bytes('x') }])).rejects.toMatchObject({
        code: EventLogUnavailable.code,
      });
    });
  });
}
