/**
 * The Kafka log against what real topics hold and suffer: other producers' compression, transactions and
 * nonsense, retention, topics made anew. Every case runs on the shared broker, in topics of its own.
 */
import { fileURLToPath } from 'node:url';
import { EventLogGap, EventLogUnsuitable } from '@nestrec/errors';
import { openKafkaLog, type EventLog, type KafkaConfig } from '@nestrec/event-log';
import kafkajs, { type Admin, type Kafka, type Message } from 'kafkajs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { kafkaMissing, testBrokers } from '../helpers/brokers.js';
import { kafkaPrograms } from '../helpers/kafka-binaries.js';
import { kafkaTestConfig } from '../helpers/kafka-log.js';
import { memoryReader } from '../helpers/kafka-reader.js';
import { run, runs } from '../helpers/processes.js';
import { waitFor } from '../helpers/wait-for.js';

const RETRY_MS = { first: 20, longest: 100 };
const LONG_MS = 60_000;
const missing = kafkaMissing();
const source = fileURLToPath(new URL('../helpers/CompressedProducer.java', import.meta.url));
const bytes = (text: string) => new TextEncoder().encode(text);

describe.skipIf(missing !== null)(`the Kafka log${missing === null ? '' : ` (${missing})`}`, () => {
  let kafka: Kafka;
  let admin: Admin;
  let config: KafkaConfig;
  let log: EventLog;
  const openLog = (overrides: Partial<KafkaConfig> = {}) =>
    openKafkaLog({
      config: { ...config, ...overrides },
      retryMs: RETRY_MS,
      appendTimeoutMs: 20_000,
    });

  beforeAll(async () => {
    kafka = new kafkajs.Kafka({
      brokers: [testBrokers()],
      logLevel: kafkajs.logLevel.NOTHING,
      retry: { retries: 10 },
    });
    admin = kafka.admin();
    await admin.connect();
  });
  afterAll(() => admin?.disconnect());
  beforeEach(() => {
    config = kafkaTestConfig(testBrokers(), { kafkaPartitions: 1 });
    log = openLog();
  });
  afterEach(() => log.close());

  /** Sends as some other producer would. */
  const produce = async (messages: Message[]) => {
    const producer = kafka.producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    await producer.send({ topic: config.kafkaTopic, messages });
    await producer.disconnect();
  };

  /** Lets retention do its work; the client's idea of the leader may be old. */
  const deleteBefore = (offset: string) =>
    waitFor('records deleted', async () => {
      await admin.fetchTopicMetadata({ topics: [config.kafkaTopic] });
      const request = { topic: config.kafkaTopic, partitions: [{ partition: 0, offset }] };
      return admin.deleteTopicRecords(request).then(
        () => true,
        () => false,
      );
    });

  it('makes both topics with the partitions that were asked for, once, whoever comes first', async () => {
    const logs = [log, openLog(), openLog()];
    await Promise.all(logs.map((one) => one.offsets()));
    const { topics } = await admin.fetchTopicMetadata({
      topics: [config.kafkaTopic, config.kafkaDeadLetterTopic],
    });
    expect(topics.map((topic) => topic.partitions.length)).toEqual([1, 1]);
    await Promise.all(logs.map((one) => one.close()));
  });

  it('refuses a missing topic that it must not create, naming it and the cure', async () => {
    const other = kafkaTestConfig(testBrokers(), { kafkaCreateTopics: false });
    const strict = openKafkaLog({ config: other });
    const refusal = strict.offsets();
    await expect(refusal).rejects.toMatchObject({ code: EventLogUnsuitable.code });
    await expect(refusal).rejects.toThrow(
      new RegExp(`${other.kafkaTopic}.*KAFKA_CREATE_TOPICS=true`),
    );
    await strict.close();
  });

  it('reads what Kafka’s own client wrote with gzip, snappy, lz4, zstd and none', async (context) => {
    // A JRE from PyPI runs the broker but compiles nothing.
    if (!(await runs('javac', ['-version']))) context.skip('no JDK to run the Java producer with');
    await log.offsets();
    const { java, classPath } = await kafkaPrograms();
    await run(java, [...['-cp', classPath, source, testBrokers(), config.kafkaTopic, '300']]);
    const reader = memoryReader();
    await reader.subscribe(log);
    await waitFor('1,500 records', () => reader.applied.length >= 1_500, LONG_MS);
    const wanted = ['none', 'gzip', 'snappy', 'lz4', 'zstd'].flatMap((codec) =>
      Array.from({ length: 300 }, (_, i) => `${codec} ${i} ${'äöü compressible '.repeat(i % 50)}`),
    );
    expect(reader.texts()).toEqual(wanted);
  });

  it('hands over records without key or value, with 1,000 headers, and of more than a megabyte', async () => {
    await log.offsets();
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: config.kafkaTopic,
          configEntries: [{ name: 'max.message.bytes', value: '4000000' }],
        },
      ],
    });
    const headers = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`h${i}`, 'x']));
    const large = Buffer.alloc(1_048_577, 'x');
    await waitFor('the larger limit', () =>
      produce([{ key: 'large', value: large }]).then(
        () => true,
        () => false,
      ),
    );
    await produce([
      { key: null, value: 'no key' },
      { key: 'no value', value: null },
      { key: 'headers', value: 'x', headers },
      { key: Buffer.from([0xff, 0x61]), value: 'key of no text' },
    ]);
    const reader = memoryReader();
    await reader.subscribe(log);
    await waitFor('five records', () => reader.applied.length === 5);
    expect(reader.applied.map(({ key }) => key)).toEqual([
      ...['large', null, 'no value', 'headers', '\ufffda'],
    ]);
    expect(reader.applied.map(({ value }) => value?.length ?? null)).toEqual([
      ...[1_048_577, 6, null, 1, 14],
    ]);
  });

  it('sees nothing of aborted transactions, and goes on over the holes that they and commits leave', async () => {
    await log.offsets();
    const producer = kafka.producer({
      ...{ transactionalId: config.kafkaTopic, maxInFlightRequests: 1, idempotent: true },
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const send = async (value: string, end: 'commit' | 'abort') => {
      const transaction = await producer.transaction();
      await transaction.send({ topic: config.kafkaTopic, messages: [{ key: 'k', value }] });
      await transaction[end]();
    };
    const reader = memoryReader();
    const subscription = await reader.subscribe(log);
    for (const n of [1, 2, 3]) {
      await send(`committed ${n}`, 'commit');
      await send(`aborted ${n}`, 'abort');
      await send(`aborted ${n} again`, 'abort');
      await waitFor(`transaction ${n}`, () => reader.texts().includes(`committed ${n}`), LONG_MS);
    }
    await log.append([{ key: 'k', value: bytes('plain') }]);
    await waitFor('what comes after', () => reader.texts().includes('plain'));
    await producer.disconnect();
    expect(reader.texts()).toEqual(['committed 1', 'committed 2', 'committed 3', 'plain']);
    expect(subscription.status()).toMatchObject({ state: 'running', failures: 0 });
  });

  it('takes the position from its own keeping, wherever the group stands on the broker', async () => {
    const reader = memoryReader();
    for (const n of [1, 2, 3, 4]) {
      await log.append([
        { key: 'k', value: bytes(`${n}a`) },
        { key: 'k', value: bytes(`${n}b`) },
      ]);
      const subscription = await reader.subscribe(log);
      await waitFor(`records of round ${n}`, () => reader.applied.length >= 2 * n);
      await subscription.stop();
      const target = n % 2 === 0 ? { earliest: true } : { earliest: false };
      await admin.resetOffsets({
        groupId: config.kafkaConsumerGroup,
        topic: config.kafkaTopic,
        ...target,
      });
    }
    expect(reader.texts()).toEqual(['1a', '1b', '2a', '2b', '3a', '3b', '4a', '4b']);
  });

  it('stands still with an alarm when retention took what was not applied, until that is accepted', async () => {
    const reader = memoryReader();
    const texts = ['a', 'b', 'c', 'd'];
    await log.append(texts.map((text) => ({ key: 'k', value: bytes(text) })));
    reader.positions.set(0, { nextOffset: 1n, fingerprint: null });
    await deleteBefore('3');
    const subscription = await reader.subscribe(log);
    await waitFor('three failures', () => subscription.status().failures >= 3);
    expect(subscription.status().lastError).toMatchObject({ code: EventLogGap.code });
    expect(String(subscription.status().lastError)).toMatch(/wanted offset 1.*oldest record is 3/);
    expect(reader.applied).toEqual([]);
    reader.positions.set(0, { nextOffset: 3n, fingerprint: null });
    await waitFor('what is left', () => reader.texts().join() === 'd');
    await waitFor('running', () => subscription.status().state === 'running');
  });

  it('starts at the oldest record when it has applied nothing and retention was there before it', async () => {
    await log.append(['a', 'b', 'c'].map((text) => ({ key: 'k', value: bytes(text) })));
    await deleteBefore('2');
    const reader = memoryReader();
    await reader.subscribe(log);
    await waitFor('the oldest', () => reader.texts().join() === 'c');
  });

  it.each([
    ['shorter', 1],
    ['as long', 4],
    ['longer', 9],
  ])('notices a topic that was deleted and made anew (%s)', async (_, records) => {
    const reader = memoryReader();
    await log.append(['a', 'b', 'c', 'd'].map((text) => ({ key: 'k', value: bytes(text) })));
    const before = await reader.subscribe(log);
    await waitFor('four records', () => reader.applied.length === 4);
    await before.stop();
    await log.close();
    await admin.deleteTopics({ topics: [config.kafkaTopic] });
    await waitFor('the end of the topic', async () => {
      return !(await admin.listTopics()).includes(config.kafkaTopic);
    });
    log = openLog();
    await log.append(
      Array.from({ length: records }, (_, n) => ({ key: 'k', value: bytes(`new ${n}`) })),
    );
    // The broker may not host the new topic for a moment yet.
    const subscription = await waitFor('the new topic', () =>
      reader.subscribe(log).catch(() => null),
    );
    await waitFor('the alarm', () => subscription.status().failures >= 2);
    expect(subscription.status().lastError).toMatchObject({ code: EventLogGap.code });
    expect(String(subscription.status().lastError)).toMatch(/made\s+anew/);
    expect(reader.applied).toHaveLength(4);
  });
});
