/**
 * Before the contract and integration tests: one PostgreSQL server with a migrated template and one Kafka
 * broker, shared by all their files and gone at the end. The last line says what was used, or what was
 * skipped and why.
 *
 * Both start at the same time, for whatever files are run: Kafka is there after 3 s on two quiet cores, 20 s on
 * crowded ones.
 */
import type { TestProject } from 'vitest/node';
import { findKafka } from './kafka-source.js';
import { findPostgres } from './postgres-source.js';
import { createTemplate } from './postgres-template.js';

export interface ProvidedPostgres {
  /** Of an administrative database; null when there is no server. */
  readonly url: string | null;
  /** Name of the database to clone. */
  readonly template: string;
  /** Why there is none, and what would help; empty otherwise. */
  readonly reason: string;
}

export interface ProvidedKafka {
  /** As KAFKA_BROKERS takes them; null when there is no broker. */
  readonly brokers: string | null;
  /** Why there is none, and what would help; empty otherwise. */
  readonly reason: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    postgres: ProvidedPostgres;
    kafka: ProvidedKafka;
  }
}

interface Service<Provided> {
  readonly provided: Provided;
  /** As in "PostgreSQL from .cache/services"; null where it is missing. */
  readonly origin: string | null;
  stop(): Promise<void>;
}

interface Shared {
  readonly postgres: ProvidedPostgres;
  readonly kafka: ProvidedKafka;
  readonly line: string;
  stop(): Promise<void>;
}

/** Vitest runs this once per project, in one process: the services are shared and counted. */
const state = globalThis as { nestrecServices?: { users: number; shared: Promise<Shared> } };

/** What a suite is told where there is no service; with NESTREC_REQUIRE_SERVICES=1 a failure. */
function missing(reason: string): { origin: null; stop(): Promise<void> } {
  if (process.env['NESTREC_REQUIRE_SERVICES'] === '1') throw new Error(reason);
  return { origin: null, stop: async () => {} };
}

async function startPostgres(): Promise<Service<ProvidedPostgres>> {
  const source = await findPostgres();
  if (source.url === null) {
    const { reason } = source;
    return { ...missing(reason), provided: { url: null, template: '', reason } };
  }
  try {
    const template = await createTemplate(source.url);
    return {
      provided: { url: source.url, template: template.name, reason: '' },
      origin: `PostgreSQL from ${source.origin}`,
      stop: async () => {
        await template.drop();
        await source.stop();
      },
    };
  } catch (error) {
    await source.stop();
    throw error;
  }
}

async function startKafka(): Promise<Service<ProvidedKafka>> {
  const source = await findKafka();
  if (source.brokers === null) {
    const { reason } = source;
    return { ...missing(reason), provided: { brokers: null, reason } };
  }
  const { brokers, origin, stop } = source;
  return { provided: { brokers, reason: '' }, origin, stop };
}

/** One line: what was used, then what was skipped. */
function summary(postgres: Service<ProvidedPostgres>, kafka: Service<ProvidedKafka>): string {
  const used = [postgres.origin, kafka.origin].filter((origin) => origin !== null).join(', ');
  const skipped = [
    { name: 'PostgreSQL', ...postgres },
    { name: 'Kafka', ...kafka },
  ]
    .filter(({ origin }) => origin === null)
    .map(({ name, provided }) => `SKIPPED every suite on ${name}: ${provided.reason}`);
  const parts = [used, ...(skipped.length > 0 ? skipped : ['nothing skipped'])];
  return `services: ${parts.filter((part) => part !== '').join('; ')}`;
}

async function start(): Promise<Shared> {
  const starts = [startPostgres(), startKafka()] as const;
  const settled = await Promise.allSettled(starts);
  const stop = async () => {
    const ends = settled.map((entry) =>
      entry.status === 'fulfilled' ? entry.value.stop() : Promise.resolve(),
    );
    await Promise.all(ends);
  };
  try {
    const [postgres, kafka] = await Promise.all(starts);
    return {
      postgres: postgres.provided,
      kafka: kafka.provided,
      line: summary(postgres, kafka),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const entry = (state.nestrecServices ??= { users: 0, shared: start() });
  entry.users++;
  const shared = await entry.shared;
  project.provide('postgres', shared.postgres);
  project.provide('kafka', shared.kafka);
  return async () => {
    if (--entry.users > 0) return;
    delete state.nestrecServices;
    await shared.stop();
    console.log(shared.line);
  };
}
