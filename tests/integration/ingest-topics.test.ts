/** Ingest and the topic that it reads: partitions counted and positioned at the first reading, and held to it. */
import { EventLogGap, EventLogUnsuitable } from '@nestrec/errors';
import { openKafkaLog, type EventLog, type KafkaConfig } from '@nestrec/event-log';
import { createIngest, type Ingest } from '@nestrec/ingest';
import { createMetrics, manualClock, silentLogger, type MetricsRegistry } from '@nestrec/runtime';
import kafkajs, { type Admin } from 'kafkajs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { kafkaMissing, testBrokers } from '../helpers/brokers.js';
import { openTestPostgres, postgresMissing, type TestDatabase } from '../helpers/databases.js';
import { NOW_MS, recordOf, wipe } from '../helpers/ingest-harness.js';
import { kafkaTestConfig } from '../helpers/kafka-log.js';
import { waitFor } from '../helpers/wait-for.js';

const LONG_MS = 60_000;
const missing = postgresMissing() ?? kafkaMissing();

describe.skipIf(missing !== null)(`ingest and its topic ${missing ?? ''}`, () => {
  let database: TestDatabase;
  let admin: Admin;
  let config: KafkaConfig;
  let log: EventLog;
  let metrics: MetricsRegistry;
  let ingest: Ingest | null = null;

  beforeAll(async () => {
    database = await openTestPostgres();
    const { Kafka, logLevel } = kafkajs;
    admin = new Kafka({ brokers: [testBrokers()], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
  });
  afterAll(async () => {
    await admin?.disconnect();
    await database?.dispose();
  });
  beforeEach(async () => {
    await wipe(database.db);
    config = kafkaTestConfig(testBrokers(), { kafkaPartitions: 2 });
    log = openKafkaLog({ config, retryMs: { first: 20, longest: 100 }, appendTimeoutMs: 20_000 });
  });
  afterEach(async () => {
    await stop();
    await log.close();
  });

  const start = async () => {
    metrics = createMetrics();
    ingest = createIngest({
      ...{ db: database.db, log, clock: manualClock(NOW_MS), logger: silentLogger(), metrics },
      settings: { verifyIntervalMs: 0, lagIntervalMs: 50 },
    });
    await ingest.start();
  };
  const stop = async () => {
    await ingest?.stop();
    ingest = null;
  };
  const post = (from: number, count: number) =>
    log.append(
      Array.from({ length: count }, (_, n) => recordOf({ id: `e${from + n}`, user: `u${n}` })),
    );
  const stored = async () => {
    const { rows } = await database.db.query<{ n: bigint }>(
      'SELECT count(*) AS n FROM interactions',
    );
    return Number(rows[0]!.n);
  };
  const trim = async () => {
    const offsets = await admin.fetchTopicOffsets(config.kafkaTopic);
    const partitions = offsets.map(({ partition, high }) => ({ partition, offset: high }));
    await admin.deleteTopicRecords({ topic: config.kafkaTopic, partitions });
  };

  it('alarms when events went that no ingest had seen any of, once it had read the topic', async () => {
    await start();
    await waitFor(
      'ready',
      () =>
        ingest!.check().then(
          () => true,
          () => false,
        ),
      LONG_MS,
    );
    await stop();
    await post(0, 20);
    await trim();
    await post(20, 20);
    await start();
    const refusal = () =>
      ingest!.check().then(
        () => null,
        (error: Error) => error,
      );
    const error = await waitFor(
      'the alarm',
      async () => {
        const found = (await refusal()) as (Error & { cause?: unknown }) | null;
        return (found?.cause as { code?: string } | undefined)?.code === EventLogGap.code && found;
      },
      LONG_MS,
    );
    expect(String((error as Error).cause)).toMatch(/oldest record is \d+: \d+ records went/);
    expect(await stored()).toBe(0);
    await waitFor('the metric', async () => {
      return /^rec_consumer_failures [1-9]/m.test((await metrics.expose()).body);
    });
  });

  it('begins at the oldest record of a topic that it reads for the first time', async () => {
    await post(0, 20);
    await trim();
    await post(20, 20);
    await start();
    await waitFor('what is left', async () => (await stored()) === 20, LONG_MS);
  });

  it('refuses more partitions than it first read, and takes them when they are accepted, losing none', async () => {
    await post(0, 40);
    await start();
    await waitFor('40 events', async () => (await stored()) === 40, LONG_MS);
    await stop();
    await post(40, 40);
    await admin.createPartitions({
      topicPartitions: [{ topic: config.kafkaTopic, count: 4 }],
    });
    await log.close();
    log = openKafkaLog({ config, retryMs: { first: 20, longest: 100 }, appendTimeoutMs: 20_000 });
    await waitFor('four partitions', async () => (await log.offsets()).size === 4, LONG_MS);
    await post(80, 40);
    await expect(start()).rejects.toMatchObject({ code: EventLogUnsuitable.code });
    const cure = /UPDATE log_topics SET partitions = 4 WHERE topic = '[\w.-]+'/;
    const refusal: Error = await start().then(
      () => new Error('not refused'),
      (error: Error) => error,
    );
    await database.db.execute(cure.exec(refusal.message)![0]);
    await start();
    await waitFor('all 120 events', async () => (await stored()) === 120, LONG_MS);
  });
});
