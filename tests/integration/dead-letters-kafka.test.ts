/** Poison through a real broker: set aside with its bytes, announced in the topic of dead letters. */
import { deadLetterSchema } from '@nestrec/contracts';
import { openEventLog, openKafkaLog, type LogRecord } from '@nestrec/event-log';
import { createIngest } from '@nestrec/ingest';
import { createRandom } from '@nestrec/random';
import { createMetrics, manualClock, silentLogger } from '@nestrec/runtime';
import { countInteractions } from '@nestrec/storage';
import { Kafka, logLevel, type Message } from 'kafkajs';
import { expect, it } from 'vitest';
import { kafkaMissing, testBrokers } from '../helpers/brokers.js';
import { openTestPostgres, postgresMissing } from '../helpers/databases.js';
import { NOW_MS, recordOf } from '../helpers/ingest-harness.js';
import { kafkaTestConfig } from '../helpers/kafka-log.js';
import { makePoison, POISON_KINDS } from '../helpers/poison.js';
import { waitFor } from '../helpers/wait-for.js';

const missing = kafkaMissing() ?? postgresMissing();
const title = missing === null ? '' : ` (${missing})`;

/** Creates the topic for records of 2 MB and writes to it as foreign producers do: anything goes. */
async function produce(topic: string, messages: readonly Message[]): Promise<void> {
  const kafka = new Kafka({ brokers: testBrokers().split(','), logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const configEntries = [{ name: 'max.message.bytes', value: '2097152' }];
  const topics = [{ topic, numPartitions: 2, configEntries }];
  await admin.createTopics({ topics, waitForLeaders: true });
  await admin.disconnect();
  const producer = kafka.producer();
  await producer.connect();
  for (const message of messages) await producer.send({ topic, messages: [message] });
  await producer.disconnect();
}

it.skipIf(missing !== null)(
  `every kind of poison in a topic gets to the topic of dead letters, and stops nothing${title}`,
  async () => {
    const { db, dispose } = await openTestPostgres();
    const config = kafkaTestConfig(testBrokers());
    const poison = POISON_KINDS.map((kind, n) => makePoison(kind, createRandom(n), NOW_MS));
    const messages = poison.flatMap(({ key, value }, n): Message[] => {
      const good = recordOf({ id: `good${n}`, user: `u${n % 7}`, ago: 60 });
      return [
        { key: good.key, value: Buffer.from(good.value) },
        { key, value: value === null ? null : Buffer.from(value) },
      ];
    });
    const strangeKey = Buffer.from([0x75, 0xff, 0x00]);
    messages.push({ key: strangeKey, value: Buffer.from('{}') });
    await produce(config.kafkaTopic, messages);

    const logger = silentLogger();
    const log = openEventLog({ config, db, logger });
    const dead = openKafkaLog({
      config: { ...config, kafkaConsumerGroup: 'reader' },
      topic: config.kafkaDeadLetterTopic,
    });
    const letters: LogRecord[] = [];
    const ingest = createIngest({
      ...{ db, log: log.events, deadLetters: log.deadLetters },
      ...{ clock: manualClock(NOW_MS), logger, metrics: createMetrics() },
      deadLetterSettings: { retryMs: { first: 10, longest: 200 } },
    });
    try {
      await ingest.start();
      await dead.subscribe({
        positions: (held) =>
          Promise.resolve(
            new Map([...held.keys()].map((p) => [p, { nextOffset: 0n, fingerprint: null }])),
          ),
        handler: ({ records }) => Promise.resolve(void letters.push(...records)),
        maxRecords: 100,
      });
      await waitFor('all dead letters', () => letters.length >= poison.length + 1, 90_000);
      const stored = async () => Number((await countInteractions(db)).interactions);
      await waitFor('all good events', async () => (await stored()) === poison.length, 30_000);
    } finally {
      await dead.close();
      await ingest.stop();
      await log.close();
      await dispose();
    }
    const documents = letters.map(({ key, value }) => ({
      ...deadLetterSchema.parse(JSON.parse(new TextDecoder().decode(value!))),
      recordKey: key,
    }));
    const facts = (key: Buffer | string | null, value: Uint8Array | null, reason: string) =>
      JSON.stringify([
        key === null ? null : Buffer.from(key).toString('base64'),
        value === null || value.length > 640_000 ? null : Buffer.from(value).toString('base64'),
        value?.length ?? null,
        reason,
      ]);
    const wanted = poison.map(({ key, value, reason }) => facts(key, value, reason));
    wanted.push(facts(strangeKey, Buffer.from('{}'), 'unknown_schema_version'));
    const got = documents.map((d) =>
      JSON.stringify([d.key_base64, d.value_base64, d.value_bytes, d.reason]),
    );
    // At least once: the shared broker may be slow enough for a repeated append.
    expect([...new Set(got)].sort()).toEqual(wanted.sort());
    for (const { key, recordKey } of documents) expect(recordKey).toBe(key ?? '');
  },
);
