/**
 * The event log on Kafka: composes client, topics, appender and subscriptions. Opening never waits for the
 * brokers: a process starts without them, and says what it cannot do until they are there.
 */
import { setTimeout } from 'node:timers/promises';
import { EventLogUnavailable, NestrecError } from '@nestrec/errors';
import { silentLogger, type Logger } from '@nestrec/runtime';
import type { Admin, Kafka } from 'kafkajs';
import { DEFAULT_RETRY_MS } from '../subscription.js';
import type { EventLog, OffsetRange, Subscription } from '../types.js';
import { createAppender } from './appender.js';
import { createClient } from './client.js';
import { withLimit } from './limit.js';
import type { KafkaConfig } from './settings.js';
import { subscribeKafka } from './subscription.js';
import { ensureTopics } from './topics.js';

export interface KafkaLogOptions {
  readonly config: KafkaConfig;
  /** Default: the topic of events in `config`. */
  readonly topic?: string;
  readonly logger?: Logger;
  /** Partitions applied at the same time. */
  readonly concurrency?: number;
  /** First and longest pause after a failure, ms. */
  readonly retryMs?: { readonly first: number; readonly longest: number };
  /** Longest wait of one append, ms. */
  readonly appendTimeoutMs?: number;
}

const APPEND_TIMEOUT_MS = 1_500;
const ELECTION_ATTEMPTS = 10;
const ELECTION_PAUSE_MS = 200;
/** Of requests that read; also how long a silent broker is believed in. */
const READ_TIMEOUT_MS = 10_000;

/** @throws InvalidConfig for contradicting settings; nothing else, also without brokers */
export function openKafkaLog(options: KafkaLogOptions): EventLog {
  const { config, logger = silentLogger(), appendTimeoutMs = APPEND_TIMEOUT_MS } = options;
  const topic = options.topic ?? config.kafkaTopic;
  const client = (requestTimeoutMs: number, retries: number) =>
    createClient(config, { connectionTimeoutMs: 1_000, requestTimeoutMs, retries }, logger);
  const readerKafka = client(READ_TIMEOUT_MS, 3);
  const topics = createTopicsAccess(readerKafka, config, topic, logger);
  const appender = createAppender({
    ...{ kafka: client(appendTimeoutMs, 3), topic, timeoutMs: appendTimeoutMs, logger },
  });
  const subscriptions = new Set<Subscription>();
  let closed = false;
  const assertOpen = () => {
    if (closed) throw new EventLogUnavailable({ detail: `the log ${topic} is closed` });
  };
  // Begun now, so that the first append finds the topic; repeated by whoever needs it.
  topics.ready().catch((error: unknown) => logger.warn({ err: error }, 'Kafka is not ready yet'));

  return {
    topic,
    append: async (records) => {
      assertOpen();
      if (records.length > 0 && !topics.known()) {
        await withLimit(topics.ready(), appendTimeoutMs).catch((error: unknown) => {
          throw toUnavailable(topic, error);
        });
      }
      return appender.append(records);
    },
    subscribe: (request) => {
      assertOpen();
      const subscription = subscribeKafka(
        {
          ...{ kafka: readerKafka, topic, logger },
          group: request.group ?? config.kafkaConsumerGroup,
          sessionTimeoutMs: config.kafkaSessionTimeoutMs,
          concurrency: options.concurrency ?? 4,
          retryMs: options.retryMs ?? DEFAULT_RETRY_MS,
          ...{ ready: topics.ready, offsets: topics.offsets },
        },
        request,
      );
      subscriptions.add(subscription);
      return Promise.resolve(subscription);
    },
    offsets: async () => {
      assertOpen();
      await topics.ready();
      return topics.offsets();
    },
    close: async () => {
      closed = true;
      await Promise.all([...subscriptions].map((subscription) => subscription.stop()));
      await appender.close();
      await topics.close();
    },
  };
}

/** Questions about the topic, through one admin connection that is made anew after a failure. */
function createTopicsAccess(kafka: Kafka, config: KafkaConfig, topic: string, logger: Logger) {
  let admin: Promise<Admin> | null = null;
  let ensuring: Promise<void> | null = null;
  let known = false;
  let closed = false;

  const connect = async (): Promise<Admin> => {
    const made = kafka.admin();
    try {
      await made.connect();
      return made;
    } catch (error) {
      await withLimit(made.disconnect(), 1_000).catch(() => undefined);
      throw error;
    }
  };
  const ask = async <T>(question: (admin: Admin) => Promise<T>): Promise<T> => {
    if (closed) throw new EventLogUnavailable({ detail: `the log ${topic} is closed` });
    const mine = (admin ??= connect());
    try {
      return await withLimit(
        mine.then((one) => question(one)),
        READ_TIMEOUT_MS,
      );
    } catch (error) {
      if (admin === mine) admin = null;
      void mine.then((one) => one.disconnect()).catch(() => undefined);
      throw toUnavailable(topic, error);
    }
  };
  const ensure = () =>
    ask((one) =>
      ensureTopics(
        one,
        {
          names: [...new Set([topic, config.kafkaTopic, config.kafkaDeadLetterTopic])],
          create: config.kafkaCreateTopics,
          partitions: config.kafkaPartitions,
          replicationFactor: config.kafkaReplicationFactor,
        },
        logger,
      ),
    );

  return {
    known: () => known,
    /** Resolves when the topics exist; looks once, and again after it failed. */
    ready: async (): Promise<void> => {
      if (known) return;
      ensuring ??= ensure().finally(() => (ensuring = null));
      await ensuring;
      known = true;
    },
    offsets: async (): Promise<Map<number, OffsetRange>> => {
      const rows = await ask((one) => whileElecting(() => one.fetchTopicOffsets(topic)));
      const ranges = rows.map(({ partition, low, high }): [number, OffsetRange] => [
        partition,
        { low: BigInt(low), next: BigInt(high) },
      ]);
      return new Map(ranges.sort(([a], [b]) => a - b));
    },
    close: async () => {
      closed = true;
      await withLimit(
        (admin ?? Promise.resolve(null)).then((one) => one?.disconnect()),
        1_000,
      ).catch(() => undefined);
    },
  };
}

/** Asks again while a partition has no leader, as just after its creation. */
async function whileElecting<T>(question: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await question();
    } catch (error) {
      const retriable = (error as { retriable?: boolean }).retriable === true;
      if (!retriable || attempt === ELECTION_ATTEMPTS) throw error;
      await setTimeout(ELECTION_PAUSE_MS);
    }
  }
}

function toUnavailable(topic: string, error: unknown): NestrecError {
  if (error instanceof NestrecError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new EventLogUnavailable({ detail: `topic ${topic}: ${reason}`, cause: error });
}
