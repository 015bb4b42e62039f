/**
 * The run's own hands on Kafka: a broker with a second listener that is advertised at a proxy, topics,
 * paced producers with a known truth, reading a topic whole, moving a group's offsets. Independent of the
 * product's event log on purpose.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel, type Admin } from 'kafkajs';
import type { WireRecord } from './workload.js';

/** A client that speaks to the broker itself, never through a proxy. */
export const directClient = (brokers: string): Kafka =>
  new Kafka({
    brokers: brokers.split(','),
    clientId: 'chaos',
    logLevel: logLevel.NOTHING,
    retry: { retries: 20, initialRetryTime: 100, maxRetryTime: 2_000 },
  });

export async function withAdmin<T>(
  brokers: string,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = directClient(brokers).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

export async function createTopics(
  brokers: string,
  topics: readonly string[],
  partitions: number,
  replicationFactor = 1,
): Promise<void> {
  await withAdmin(brokers, (admin) =>
    admin.createTopics({
      waitForLeaders: true,
      topics: topics.map((topic) => ({ topic, numPartitions: partitions, replicationFactor })),
    }),
  );
}

/** Offset that the next record of each partition will have. */
export async function endOffsets(brokers: string, topic: string): Promise<Map<number, bigint>> {
  const offsets = await withAdmin(brokers, (admin) => admin.fetchTopicOffsets(topic));
  return new Map(offsets.map((o) => [o.partition, BigInt(o.high)]));
}

/** Moves the group's committed offsets; the group must have no members. */
export async function moveGroup(
  brokers: string,
  group: string,
  topic: string,
  to: 'start' | 'end',
): Promise<void> {
  const ends = await endOffsets(brokers, topic);
  const partitions = [...ends].map(([partition, next]) => ({
    partition,
    offset: to === 'start' ? '0' : String(next),
  }));
  await withAdmin(brokers, (admin) => admin.setOffsets({ groupId: group, topic, partitions }));
}

export interface ReadRecord {
  readonly partition: number;
  readonly offset: bigint;
  /** Set by the producer when it sent the record. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
}

let readers = 0;

/** Reads a topic from the oldest record to its present end. */
export async function readTopic(brokers: string, topic: string): Promise<ReadRecord[]> {
  const ends = await endOffsets(brokers, topic);
  const wanted = [...ends.values()].reduce((sum, next) => sum + next, 0n);
  const records: ReadRecord[] = [];
  if (wanted === 0n) return records;
  const group = `chaos-reader-${process.pid}-${(readers += 1)}`;
  const consumer = directClient(brokers).consumer({ groupId: group, maxBytes: 20_000_000 });
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    const reached = new Map([...ends].filter(([, next]) => next > 0n));
    await new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload }) => reject(payload.error));
      consumer
        .run({
          eachBatch: ({ batch }) => {
            for (const { offset, timestamp, key, value, headers } of batch.messages) {
              records.push({
                ...{ partition: batch.partition, offset: BigInt(offset) },
                ...{ timestampMs: Number(timestamp), key, value },
                headers: Object.fromEntries(
                  Object.entries(headers ?? {}).map(([name, text]) => [name, String(text)]),
                ),
              });
            }
            const end = reached.get(batch.partition);
            if (end !== undefined && BigInt(batch.lastOffset()) + 1n >= end) {
              reached.delete(batch.partition);
            }
            if (reached.size === 0) resolve();
            return Promise.resolve();
          },
        })
        .catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return records;
}

export interface Load {
  /** Records that the broker has acknowledged. */
  sent(): number;
  /** Resolves when all that were sent are acknowledged. */
  readonly done: Promise<void>;
}

export interface LoadOptions {
  readonly stop?: AbortSignal;
  /** How many of the records may be sent by now. */
  readonly limit?: () => number;
}

const TICK_MS = 20;
const MOST_PER_REQUEST = 2_000;

/**
 * Sends records in order, at a pace, until all are sent or it is stopped; every one is acknowledged by the
 * broker once (idempotent producer).
 */
export function startLoad(
  brokers: string,
  topic: string,
  records: readonly WireRecord[],
  perSecond: number,
  options: LoadOptions = {},
): Load {
  let sent = 0;
  const run = async () => {
    const producer = directClient(brokers).producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const startedAtMs = performance.now();
    try {
      while (sent < records.length && options.stop?.aborted !== true) {
        const elapsedMs = performance.now() - startedAtMs;
        const due = Math.min(records.length, Math.floor((elapsedMs / 1_000) * perSecond));
        const until = Math.min(due, sent + MOST_PER_REQUEST, options.limit?.() ?? Infinity);
        if (until > sent) {
          const messages = records.slice(sent, until).map((record) => ({ ...record }));
          await producer.send({ topic, messages, acks: -1 });
          sent = until;
        } else {
          await sleep(TICK_MS);
        }
      }
    } finally {
      await producer.disconnect();
    }
  };
  const done = run();
  done.catch(() => undefined); // its awaiter hears of it
  return { sent: () => sent, done };
}
