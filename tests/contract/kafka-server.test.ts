/** The brokers of the tests are real ones: they keep what they acknowledged, and nothing is left of them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Kafka, logLevel, type KafkaConfig } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { kafkaMissing, testBrokers } from '../helpers/brokers.js';
import { KAFKA_VERSIONS, kafkaVersion } from '../helpers/kafka-binaries.js';
import { findKafka } from '../helpers/kafka-source.js';
import { BRIEF_LIFE, startKafka, type KafkaServer } from '../helpers/kafka-server.js';
import { endLeftovers } from '../helpers/leftovers.js';
import { runRecords } from '../helpers/postgres-server.js';
import { processStart } from '../helpers/processes.js';
import { waitFor } from '../helpers/wait-for.js';

/** Restarts take seconds each, and more where other things run. */
const SLOW_MS = 120_000;

const missing = kafkaMissing();
/** A broker of our own is needed, to break it; TEST_KAFKA_BROKERS and Docker do not give one. */
const noServer = missing !== null || process.env['TEST_KAFKA_BROKERS'] !== undefined;

const client = (brokers: string, config: Partial<KafkaConfig> = {}) =>
  new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING, ...config });

async function makeTopic(kafka: Kafka, topic: string): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
  await admin.disconnect();
}

async function produce(kafka: Kafka, topic: string, values: readonly string[]): Promise<void> {
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  await producer.send({ topic, acks: -1, messages: values.map((value) => ({ value })) });
  await producer.disconnect();
}

/** The first `count` values of the topic. */
async function consume(kafka: Kafka, topic: string, count: number): Promise<string[]> {
  const values: string[] = [];
  const consumer = kafka.consumer({ groupId: randomUUID() });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      values.push(message.value!.toString());
    },
  });
  await waitFor(`${count} records of ${topic}`, () => values.length >= count);
  await consumer.disconnect();
  return values;
}

it('the choice of a version is one of those that are tested, or is refused with their names', () => {
  expect(kafkaVersion(undefined)).toBe(KAFKA_VERSIONS[0]);
  expect(kafkaVersion('3.9.1')).toBe('3.9.1');
  expect(() => kafkaVersion('2.8.0')).toThrow(/"2\.8\.0" is not one of 4\.3\.1, 3\.9\.1/);
});

it('a broker that is given is taken, and none is started', async () => {
  vi.stubEnv('TEST_KAFKA_BROKERS', 'given:9092');
  const source = await findKafka();
  vi.unstubAllEnvs();
  expect(source).toMatchObject({ brokers: 'given:9092', origin: 'Kafka from TEST_KAFKA_BROKERS' });
});

describe.skipIf(missing !== null)(`the shared broker ${missing ?? ''}`, () => {
  it('takes records and makes no topic unasked', async () => {
    const kafka = client(testBrokers());
    const topic = `test-${randomUUID()}`;
    const impatient = client(testBrokers(), { retry: { retries: 1 } });
    await expect(produce(impatient, topic, ['lost'])).rejects.toThrow(/does not host this topic/);
    await makeTopic(kafka, topic);
    await produce(kafka, topic, ['kept']);
    expect(await consume(kafka, topic, 1)).toEqual(['kept']);
  });
});

describe.skipIf(noServer)('a broker of our own', () => {
  let server: KafkaServer;
  beforeAll(async () => {
    server = await startKafka({
      secure: { protocol: 'SASL_SSL', mechanism: 'scram-sha-256' },
      properties: { 'num.partitions': '3' },
      javaOptions: BRIEF_LIFE,
    });
  });
  afterAll(() => server.stop());

  it(
    'keeps acknowledged records over kill -9 and over an orderly stop, at the same address',
    async () => {
      const kafka = client(server.brokers);
      await makeTopic(kafka, 'kept');
      await produce(kafka, 'kept', ['before kill']);
      const pid = server.pid()!;
      await server.kill();
      expect(processStart(pid)).toBeNull();
      expect(server.pid()).toBeNull();
      await server.start();
      await produce(kafka, 'kept', ['before halt']);
      await server.halt();
      expect(server.pid()).toBeNull();
      await server.start();
      await produce(kafka, 'kept', ['last']);
      expect(await consume(kafka, 'kept', 3)).toEqual(['before kill', 'before halt', 'last']);
    },
    SLOW_MS,
  );

  it('lets clients in by certificate and password, and nobody else', async () => {
    const { brokers, ca, sasl } = server.secure!;
    const connect = async (config: Partial<KafkaConfig>) => {
      const admin = client(brokers, { retry: { retries: 0 }, ...config }).admin();
      try {
        await admin.connect();
        return (await admin.describeCluster()).brokers.length;
      } finally {
        await admin.disconnect();
      }
    };
    const { username, password } = sasl!;
    const as = (change: object = {}) => ({
      mechanism: 'scram-sha-256' as const,
      username,
      password,
      ...change,
    });
    expect(await connect({ ssl: { ca: [ca!] }, sasl: as() })).toBe(1);
    await expect(connect({ ssl: { ca: [ca!] }, sasl: as({ password: 'no' }) })).rejects.toThrow(
      /authentication failed/i,
    );
    await expect(connect({ ssl: true, sasl: as() })).rejects.toThrow(/self-signed certificate/);
    await expect(connect({ ssl: { ca: [ca!] } })).rejects.toThrow();
  });

  it('takes settings of the caller over its own', async () => {
    const admin = client(server.brokers).admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: 'parts' }], waitForLeaders: true });
    const { topics } = await admin.fetchTopicMetadata({ topics: ['parts'] });
    await admin.disconnect();
    expect(topics[0]!.partitions).toHaveLength(3);
  });
});

describe.skipIf(noServer)('a broker whose owner was killed', () => {
  let owner: ChildProcess | undefined;
  afterEach(() => owner?.kill('SIGKILL'));

  it(
    'is ended, with its data, by the next run',
    async () => {
      const script = fileURLToPath(new URL('../helpers/kafka-child.ts', import.meta.url));
      owner = spawn(process.execPath, ['--conditions=@nestrec/source', '--import', 'tsx', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      owner.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()));
      const pid = Number(await waitFor('the broker', () => /^pid (\d+)$/m.exec(text)?.[1], 60_000));
      const records = await Promise.all(
        // Other runs write theirs meanwhile, each under another name first.
        (await readdir(runRecords))
          .filter((name) => name.endsWith('.json'))
          .map(async (name) => {
            const record = await readFile(join(runRecords, name), 'utf8').catch(() => 'null');
            return JSON.parse(record) as { pid: number; folder: string } | null;
          }),
      );
      const { folder } = records.find((record) => record?.pid === pid)!;
      expect(await readdir(folder)).toContain('data');

      await endLeftovers(runRecords); // its owner lives
      expect(processStart(pid)).not.toBeNull();
      const killed = new Promise((resolve) => owner!.once('exit', resolve));
      owner.kill('SIGKILL');
      await killed;
      expect(processStart(pid)).not.toBeNull();
      await endLeftovers(runRecords);
      await waitFor('the end of the broker', () => processStart(pid) === null);
      await expect(readdir(folder)).rejects.toThrow('ENOENT');
    },
    SLOW_MS,
  );
});
