/**
 * Appends to a Kafka topic: idempotent producer, acknowledged by all replicas in sync, with an end to every
 * wait. Appends that come while one is under way travel together with the next.
 *
 * After any failure the producer is thrown away: what it still has under way may or may not arrive, and a
 * new one (with a new producer id) does not inherit its sequence numbers.
 */
import { EventLogUnavailable } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import kafkajs, { type Kafka, type Message, type Producer } from 'kafkajs';
import type { NewRecord, RecordPlace } from '../types.js';
import { withLimit } from './limit.js';

export interface AppenderOptions {
  readonly kafka: Kafka;
  readonly topic: string;
  /** From the call of `append` to its end, ms. */
  readonly timeoutMs: number;
  readonly logger: Logger;
}

export interface Appender {
  append(records: readonly NewRecord[]): Promise<RecordPlace[]>;
  /** Rejects what waits, and lets go of the brokers. */
  close(): Promise<void>;
}

interface Waiting {
  readonly records: readonly NewRecord[];
  readonly bytes: number;
  settled: boolean;
  resolve(places: RecordPlace[]): void;
  reject(error: Error): void;
}

/** Of one request. Brokers refuse record batches above 1 MiB, and one partition may get all of it. */
const MOST_RECORDS = 1_000;
const MOST_BYTES = 600_000;
/** Waiting at most; more are refused at once, or an outage would fill the memory. */
const MOST_WAITING_BYTES = 32_000_000;

export function createAppender(options: AppenderOptions): Appender {
  const { topic, timeoutMs, logger } = options;
  const queue: Waiting[] = [];
  let queuedBytes = 0;
  let pumping = false;
  let closed = false;
  let current: Connected | null = null;

  const unavailable = (detail: string, cause?: unknown) =>
    new EventLogUnavailable({ detail: `topic ${topic}: ${detail}`, cause });

  const discard = () => {
    const old = current;
    current = null;
    old?.producer.disconnect().catch(() => undefined); // it may be cut off: nobody waits for it
  };

  /** Sends what waits, request after request, until nothing does. */
  const pump = async () => {
    if (pumping) return;
    pumping = true;
    while (queue.length > 0) {
      const group = takeGroup(queue);
      queuedBytes -= group.reduce((sum, one) => sum + one.bytes, 0);
      const live = group.filter((one) => !one.settled);
      if (live.length === 0) continue;
      try {
        const places = await withLimit(send(live), timeoutMs);
        for (const one of live) one.resolve(places.splice(0, one.records.length));
      } catch (error) {
        discard();
        logger.warn({ reason: (error as Error).message, topic }, 'appending to Kafka failed');
        for (const one of live) one.reject(unavailable('an append failed', error));
      }
    }
    pumping = false;
  };

  const send = async (group: readonly Waiting[]): Promise<RecordPlace[]> => {
    current ??= createProducer(options.kafka);
    const { producer, placeOf, connected } = current;
    await connected;
    const places: RecordPlace[] = [];
    for (const records of slices(group.flatMap((one) => one.records))) {
      const messages = records.map((record): Message => {
        return { key: record.key, value: bufferOf(record.value) };
      });
      const metadata = await producer.send({ topic, messages, acks: -1, timeout: timeoutMs });
      const nextOf = new Map(metadata.map((m) => [m.partition, BigInt(m.baseOffset!)]));
      for (const message of messages) {
        const partition = placeOf.get(message)!;
        const offset = nextOf.get(partition)!;
        places.push({ partition, offset });
        nextOf.set(partition, offset + 1n);
      }
    }
    return places;
  };

  return {
    append: (records) => {
      if (closed) return Promise.reject(unavailable('the log is closed'));
      if (records.length === 0) return Promise.resolve([]);
      const bytes = records.reduce((sum, record) => sum + sizeOf(record), 0);
      if (queuedBytes + bytes > MOST_WAITING_BYTES) {
        return Promise.reject(unavailable(`${queuedBytes} bytes wait already`));
      }
      return new Promise((resolve, reject) => {
        const settle = (end: () => void) => {
          clearTimeout(timer);
          waiting.settled = true;
          end();
        };
        const waiting: Waiting = {
          ...{ records, bytes, settled: false },
          resolve: (places) => settle(() => resolve(places)),
          reject: (error) => settle(() => reject(error)),
        };
        const timer = setTimeout(() => {
          waiting.reject(unavailable(`no answer within ${timeoutMs} ms`));
        }, timeoutMs);
        queue.push(waiting);
        queuedBytes += bytes;
        void pump();
      });
    },
    close: async () => {
      closed = true;
      for (const one of queue.splice(0)) one.reject(unavailable('the log is closed'));
      const old = current;
      current = null;
      await withLimit(old?.producer.disconnect() ?? Promise.resolve(), timeoutMs).catch(
        () => undefined,
      );
    },
  };
}

interface Connected {
  readonly producer: Producer;
  readonly connected: Promise<void>;
  /** Partition of each message that was sent. */
  readonly placeOf: WeakMap<Message, number>;
}

function createProducer(kafka: Kafka): Connected {
  const placeOf = new WeakMap<Message, number>();
  const producer = kafka.producer({
    idempotent: true,
    allowAutoTopicCreation: false,
    metadataMaxAge: 60_000,
    // The client's answer names partitions and first offsets only: who went where is noted here.
    createPartitioner: () => {
      const partitionOf = kafkajs.Partitioners.DefaultPartitioner();
      return (args) => {
        const partition = partitionOf(args);
        placeOf.set(args.message, partition);
        return partition;
      };
    },
  });
  const connected = producer.connect();
  connected.catch(() => undefined); // awaited by the first send
  return { producer, connected, placeOf };
}

/** The oldest appends that fit one request; at least one. */
function takeGroup(queue: Waiting[]): Waiting[] {
  let records = 0;
  let bytes = 0;
  const end = queue.findIndex((one, i) => {
    records += one.records.length;
    bytes += one.bytes;
    return i > 0 && (records > MOST_RECORDS || bytes > MOST_BYTES);
  });
  return queue.splice(0, end < 0 ? queue.length : end);
}

/** Records in order, cut where a request would become too large. */
function* slices(records: readonly NewRecord[]): Generator<NewRecord[]> {
  let slice: NewRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    if (slice.length === MOST_RECORDS || (bytes > 0 && bytes + sizeOf(record) > MOST_BYTES)) {
      yield slice;
      slice = [];
      bytes = 0;
    }
    slice.push(record);
    bytes += sizeOf(record);
  }
  if (slice.length > 0) yield slice;
}

const sizeOf = (record: NewRecord) => record.key.length + record.value.length;

const bufferOf = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
