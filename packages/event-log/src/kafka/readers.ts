/**
 * The partitions that a consumer was assigned: opened at the stored position, read batch after batch, and
 * after a failure opened again when a pause that grows has passed, while the others go on.
 *
 * Nothing here throws into kafkajs, which would end the consumer (TypeError) or block the partition.
 */
import { isUtf8 } from 'node:buffer';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import type { LogBatch, LogRecord, OffsetRange, SubscribeOptions } from '../types.js';
import { pauseAfter, type RetryPauses } from '../subscription.js';
import { createPartition, type FetchedBatch, type Partition } from './partition.js';

export interface ReaderOptions {
  readonly consumer: Consumer;
  readonly topic: string;
  readonly request: SubscribeOptions;
  readonly retryMs: RetryPauses;
  /** How often a batch that takes long tells the group that we live. */
  readonly heartbeatMs: number;
  /** What the topic's partitions hold now. */
  readonly offsets: () => Promise<Map<number, OffsetRange>>;
  readonly stopped: () => boolean;
  readonly events: ReaderEvents;
}

export interface ReaderEvents {
  opened(partition: number): void;
  failed(partition: number, error: unknown, failures: number, pauseMs: number): void;
  /** A batch of this partition was applied. */
  applied(partition: number): void;
}

export interface Readers {
  /** Takes these partitions instead of those it had; to be called before anything is fetched. */
  assign(partitions: readonly number[]): void;
  eachBatch(payload: EachBatchPayload): Promise<void>;
  /** The client went over records that are no events. */
  passed(partition: number, from: bigint, nextOffset: bigint): void;
  /** Positions of open partitions. */
  positions(): { readonly partition: number; readonly nextOffset: bigint }[];
  /** Batches that are being applied. */
  readonly busy: number;
  /** Takes no batch any more; resolves once those that are being applied are at their border. */
  close(): Promise<void>;
}

/** Batches that were not what was asked for, in a row, before that counts as a failure. */
const MOST_REOPENINGS = 5;

interface Reader {
  readonly partition: Partition;
  state: 'opening' | 'open' | 'failed';
  failures: number;
  reopenings: number;
  timer: NodeJS.Timeout | null;
  /** The batch that is being applied: after a rebalance kafkajs may bring the next beside it. */
  tail: Promise<void>;
}

const createReader = (id: number, tail: Promise<void> = Promise.resolve()): Reader => ({
  ...{ partition: createPartition(id), state: 'opening', failures: 0, reopenings: 0 },
  ...{ timer: null, tail },
});

export function createReaders(options: ReaderOptions): Readers {
  const { consumer, topic, request, events } = options;
  const readers = new Map<number, Reader>();
  let busy = 0;

  const pause = (partitions: number[]) => consumer.pause([{ topic, partitions }]);
  const live = (reader: Reader) =>
    readers.get(reader.partition.id) === reader && !options.stopped();

  const fail = (reader: Reader, error: unknown) => {
    if (!live(reader)) return;
    const { id } = reader.partition;
    reader.state = 'failed';
    reader.failures += 1;
    const pauseMs = pauseAfter(reader.failures, options.retryMs);
    pause([id]);
    reader.timer = setTimeout(() => void open([reader]), pauseMs);
    events.failed(id, error, reader.failures, pauseMs);
  };

  /** Reads positions and what the log holds, and lets the client seek; fetching is paused meanwhile. */
  const open = async (opening: readonly Reader[]) => {
    for (const reader of opening) reader.state = 'opening';
    try {
      const ranges = await options.offsets();
      const stored = await request.positions(ranges);
      for (const reader of opening.filter(live)) {
        const { partition } = reader;
        const range = ranges.get(partition.id) ?? { low: 0n, next: 0n };
        try {
          const offset = String(partition.open(stored.get(partition.id), range));
          consumer.seek({ topic, partition: partition.id, offset });
          consumer.resume([{ topic, partitions: [partition.id] }]);
          reader.state = 'open';
          events.opened(partition.id);
        } catch (error) {
          fail(reader, error);
        }
      }
    } catch (error) {
      for (const reader of opening) fail(reader, error);
    }
  };

  const reopen = (reader: Reader) => {
    reader.reopenings += 1;
    if (reader.reopenings > MOST_REOPENINGS) return fail(reader, disobedient());
    pause([reader.partition.id]);
    void open([reader]);
  };

  const apply = async (reader: Reader, payload: EachBatchPayload) => {
    const { partition } = reader;
    const over = () => !live(reader) || reader.state !== 'open' || isOver(payload);
    if (over()) return;
    const verdict = partition.judge(fetchedBatch(payload.batch));
    if (verdict.kind === 'reopen') return reopen(reader);
    reader.reopenings = 0;
    if (verdict.kind === 'apply') {
      for (const batch of slices(verdict.batch, request.maxRecords)) {
        if (over()) return;
        await request.handler(batch);
        const last = batch.records.at(-1)!.offset;
        partition.applied(last + 1n);
        payload.resolveOffset(String(last));
        reader.failures = 0;
        events.applied(partition.id);
      }
    }
    // Also where all of it had been applied before: the client goes on to what follows.
    payload.resolveOffset(payload.batch.messages.at(-1)!.offset);
  };

  const clear = () => {
    for (const { timer } of readers.values()) if (timer !== null) clearTimeout(timer);
    readers.clear();
  };

  return {
    assign: (assigned) => {
      const tails = new Map([...readers].map(([id, reader]) => [id, reader.tail]));
      clear();
      for (const id of assigned) readers.set(id, createReader(id, tails.get(id)));
      if (readers.size === 0) return;
      pause([...readers.keys()]);
      void open([...readers.values()]);
    },
    eachBatch: async (payload) => {
      const reader = readers.get(payload.batch.partition);
      if (reader === undefined) return;
      busy += 1;
      reader.tail = reader.tail
        .then(() => apply(reader, payload))
        .catch((error: unknown) => fail(reader, error));
      await withHeartbeat(payload, options.heartbeatMs, reader.tail);
      busy -= 1;
    },
    passed: (id, from, nextOffset) => readers.get(id)?.partition.passed(from, nextOffset),
    positions: () => positionsOf([...readers.values()]),
    get busy() {
      return busy;
    },
    close: async () => {
      const tails = [...readers.values()].map(({ tail }) => tail);
      clear();
      await Promise.all(tails);
    },
  };
}

const positionsOf = (readers: readonly Reader[]) =>
  readers
    .filter((reader) => reader.state === 'open')
    .map(({ partition: { id, position } }) => ({ partition: id, nextOffset: position }));

const disobedient = () => new Error('the client keeps fetching other offsets than told to');

const isOver = (payload: EachBatchPayload) => !payload.isRunning() || payload.isStale();

/** Waits for `work`, telling the group meanwhile that we live. */
async function withHeartbeat(
  { heartbeat }: EachBatchPayload,
  ms: number,
  work: Promise<void>,
): Promise<void> {
  // A rebalance is noticed by the client itself, once the batch is done.
  const timer = setInterval(() => void heartbeat().catch(() => undefined), ms);
  await work.finally(() => clearInterval(timer));
}

/** kafkajs' batch as plain values. Its `fetchedOffset` is not in its types; the version is pinned. */
function fetchedBatch(batch: EachBatchPayload['batch']): FetchedBatch {
  const { fetchedOffset } = batch as unknown as { fetchedOffset: string };
  return {
    fetchedOffset: BigInt(fetchedOffset),
    lastOffset: BigInt(batch.lastOffset()),
    records: batch.messages.map((message): LogRecord => ({
      offset: BigInt(message.offset),
      ...keyOf(message.key),
      value: message.value === null ? null : plainBytes(message.value),
      appendedAtMs: Number(message.timestamp),
    })),
  };
}

/** The key as text, and its bytes where they are another thing. */
function keyOf(key: Buffer | null): Pick<LogRecord, 'key' | 'keyBytes'> {
  if (key === null) return { key };
  const text = key.toString('utf8');
  return isUtf8(key) ? { key: text } : { key: text, keyBytes: plainBytes(key) };
}

const plainBytes = ({ buffer, byteOffset, byteLength }: Buffer) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** The batch in pieces of at most `most` records. */
function* slices(batch: LogBatch, most: number): Generator<LogBatch> {
  let { from } = batch;
  for (let at = 0; at < batch.records.length; at += most) {
    const records = batch.records.slice(at, at + most);
    yield { ...batch, from, records };
    from = records.at(-1)!.offset + 1n;
  }
}
