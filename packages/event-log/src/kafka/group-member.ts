/**
 * One life of a kafkajs consumer as a member of its group: from connecting until it is told to stop, crashes,
 * or falls silent. What becomes of the partitions it is assigned is `readers.ts`' business.
 */
import type { Consumer, Kafka } from 'kafkajs';
import type { Signal } from '../signal.js';
import type { OffsetRange, SubscribeOptions } from '../types.js';
import type { RetryPauses } from '../subscription.js';
import { withLimit } from './limit.js';
import { createReaders, type ReaderEvents, type Readers } from './readers.js';

export interface MemberOptions {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly group: string;
  readonly sessionTimeoutMs: number;
  /** Partitions applied at the same time. */
  readonly concurrency: number;
  readonly retryMs: RetryPauses;
  /** What the topic's partitions hold now. */
  readonly offsets: () => Promise<Map<number, OffsetRange>>;
}

/** What the member reports; none of these throws. */
export interface MemberEvents extends ReaderEvents {
  /** The broker answered. */
  polled(): void;
  /** It has these partitions now, none of them open. */
  joined(partitions: readonly number[]): void;
}

const MOST_WAIT_MS = 250;
const SILENCE_MS = 60_000;
const REASON_DELAY_MS = 3_000;
const COMMIT_INTERVAL_MS = 5_000;
/** Leaving the group, and closing connections: a shutdown has ten seconds for everything. */
const END_LIMIT_MS = 2_500;

/** Runs until `signal` stops it, then resolves at a batch border; rejects when the consumer is lost. */
export async function runGroupMember(
  options: MemberOptions,
  request: SubscribeOptions,
  signal: Signal,
  events: MemberEvents,
): Promise<void> {
  const { topic, sessionTimeoutMs } = options;
  const heartbeatMs = Math.max(300, Math.min(3_000, sessionTimeoutMs / 6));
  const consumer = options.kafka.consumer({
    groupId: options.group,
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: Math.max(sessionTimeoutMs, 20_000),
    heartbeatInterval: heartbeatMs,
    maxWaitTimeInMs: MOST_WAIT_MS,
    maxBytesPerPartition: 1_048_576,
    metadataMaxAge: 30_000,
    allowAutoTopicCreation: false,
  });
  const readers = createReaders({
    ...{ consumer, topic, request, heartbeatMs, events },
    ...{ retryMs: options.retryMs, offsets: options.offsets, stopped: () => signal.stopped },
  });
  let over = false;
  const life = watch(consumer, readers, topic, events);
  const begun = begin(consumer, readers, options, () => over);
  const hint = setInterval(() => void commitHint(consumer, readers, topic), COMMIT_INTERVAL_MS);
  try {
    await Promise.race([life.lost, signal.end, begun]);
    await Promise.race([life.lost, signal.end]);
  } finally {
    over = true;
    clearInterval(hint);
    life.end();
    await readers.close();
    // The batches are at their border: what the client or the broker still want is not waited for long.
    for (const end of [() => consumer.stop(), () => consumer.disconnect()]) {
      await withLimit(end(), END_LIMIT_MS).catch(() => undefined);
    }
    // A start that was under way must not leave a member behind that holds partitions and reads nothing.
    void begun.then(() => consumer.disconnect()).catch(() => undefined);
  }
}

async function begin(
  consumer: Consumer,
  readers: Readers,
  options: MemberOptions,
  over: () => boolean,
): Promise<void> {
  await consumer.connect();
  if (over()) return;
  await consumer.subscribe({ topics: [options.topic], fromBeginning: true });
  if (over()) return;
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: options.concurrency,
    eachBatch: readers.eachBatch,
  });
}

/** Tells brokers' tools how far we are. Nothing of ours reads it, so it may fail. */
async function commitHint(consumer: Consumer, readers: Readers, topic: string): Promise<void> {
  const offsets = readers.positions().map(({ partition, nextOffset }) => {
    return { topic, partition, offset: String(nextOffset) };
  });
  if (offsets.length === 0) return;
  await withLimit(consumer.commitOffsets(offsets), COMMIT_INTERVAL_MS).catch(() => undefined);
}

/** Follows the client's own reports; `lost` rejects once it will not go on by itself. */
function watch(consumer: Consumer, readers: Readers, topic: string, events: MemberEvents) {
  let lastLifeMs = Date.now();
  let lose: (error: Error) => void = () => undefined;
  const lost = new Promise<never>((_, reject) => (lose = reject));
  lost.catch(() => undefined); // raced against by whoever waits
  // A crash disconnects before it says why.
  const loseLater = (what: string) =>
    void setTimeout(() => lose(new Error(what)), REASON_DELAY_MS).unref();
  const alive = () => {
    lastLifeMs = Date.now();
  };
  const { events: names } = consumer;
  const removers = [
    consumer.on(names.GROUP_JOIN, ({ payload }) => {
      alive();
      const assigned = payload.memberAssignment[topic] ?? [];
      events.joined(assigned);
      readers.assign(assigned);
    }),
    consumer.on(names.FETCH, () => {
      alive();
      events.polled();
    }),
    consumer.on(names.END_BATCH_PROCESS, ({ payload }) => {
      alive();
      if (payload.batchSize > 0) return;
      const last = BigInt(payload.lastOffset);
      const first = (payload.firstOffset as string | null) ?? payload.lastOffset;
      readers.passed(payload.partition, BigInt(first), last + 1n);
    }),
    consumer.on(names.CRASH, ({ payload }) => lose(payload.error)),
    consumer.on(names.STOP, () => loseLater('the client stopped by itself')),
    consumer.on(names.DISCONNECT, () => loseLater('the client disconnected by itself')),
  ];
  const silence = setInterval(() => {
    if (readers.busy > 0) alive();
    if (Date.now() - lastLifeMs > SILENCE_MS) {
      lose(new Error(`the client did not ask the broker for ${SILENCE_MS} ms`));
    }
  }, SILENCE_MS / 6);
  return {
    lost,
    end: () => {
      clearInterval(silence);
      for (const remove of removers) remove();
    },
  };
}
