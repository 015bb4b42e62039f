/**
 * Where the tests' Kafka broker comes from, in this order: an address that is given, the cache of this
 * repository, Docker, nowhere (then the reason and the cure).
 */
import { kafkaVersion, type KafkaVersion, type Say } from './kafka-binaries.js';
import {
  answersMetadata,
  BRIEF_LIFE,
  serverProperties,
  startKafka,
  type KafkaOptions,
} from './kafka-server.js';
import { endLeftovers, recordService } from './leftovers.js';
import { runRecords } from './postgres-server.js';
import { lastingPort, run, runs } from './processes.js';
import { waitFor } from './wait-for.js';

export interface FoundKafka {
  readonly brokers: string;
  /** As in "Kafka 4.3.1 from .cache/services". */
  readonly origin: string;
  stop(): Promise<void>;
}

export type KafkaSource = FoundKafka | { readonly brokers: null; readonly reason: string };

const CURE =
  'set TEST_KAFKA_BROKERS, or install Maven (apt-get install maven, which brings Java along), or start Docker';
const CONTAINER_TIMEOUT_MS = 60_000;

/** The image's entry point makes server.properties of these variables. */
function containerEnvironment(port: number): string[] {
  const properties: Record<string, string> = {
    ...serverProperties(port, 9093, '/tmp/kraft-combined-logs'),
    listeners: `PLAINTEXT://:${port},CONTROLLER://:9093`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
  };
  return Object.entries(properties).flatMap(([key, value]) => [
    '--env',
    `KAFKA_${key.toUpperCase().replaceAll('.', '_')}=${value}`,
  ]);
}

async function startContainer(version: KafkaVersion): Promise<FoundKafka> {
  const image = `apache/kafka:${version}`;
  // The broker tells its clients this very address, so that it must be the same inside and outside.
  const port = await lastingPort();
  const id = (
    await run('docker', [
      ...['run', '--detach', '--rm', '--publish', `127.0.0.1:${port}:${port}`],
      ...containerEnvironment(port),
      image,
    ])
  ).trim();
  const strikeOut = await recordService(runRecords, `kafka-${id.slice(0, 12)}`, {
    pid: null,
    container: id,
    folder: null,
  });
  const stop = async () => {
    await run('docker', ['rm', '--force', id]);
    await strikeOut();
  };
  const brokers = `127.0.0.1:${port}`;
  try {
    await waitFor('an answer of Kafka', () => answersMetadata(brokers), CONTAINER_TIMEOUT_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return { brokers, origin: `Kafka ${version} from Docker image ${image}`, stop };
}

/** Starts a broker from the cache or by Docker. The first failure of each way is part of the reason. */
export async function ownKafka(
  options: KafkaOptions & { readonly version: KafkaVersion },
): Promise<KafkaSource> {
  const { version } = options;
  await endLeftovers(runRecords);
  const failures: string[] = [];
  try {
    const { brokers, stop } = await startKafka(options);
    return { brokers, origin: `Kafka ${version} from .cache/services`, stop };
  } catch (error) {
    failures.push((error as Error).message);
  }
  if (await runs('docker', ['version'])) {
    try {
      return await startContainer(version);
    } catch (error) {
      failures.push((error as Error).message);
    }
  }
  const reason = `no Kafka (${failures.join('; ').slice(0, 600)}); ${CURE}`;
  return { brokers: null, reason };
}

/** Finds or starts a broker. */
export async function findKafka(say: Say = console.log): Promise<KafkaSource> {
  const brokers = process.env['TEST_KAFKA_BROKERS'];
  if (brokers) return { brokers, origin: 'Kafka from TEST_KAFKA_BROKERS', stop: async () => {} };
  return ownKafka({ version: kafkaVersion(), javaOptions: BRIEF_LIFE, say });
}
