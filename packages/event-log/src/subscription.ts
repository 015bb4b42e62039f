/**
 * Reads one partition for one subscriber: batch after batch while it goes well, again from the stored
 * position, after a growing pause, when it does not. It never skips: a gap is a failure like others,
 * reported until somebody cures it.
 */
import { EventLogGap } from '@nestrec/errors';
import { fingerprintOf, fingerprintOffset } from './fingerprint.js';
import type { Logger } from '@nestrec/runtime';
import type { Signal } from './signal.js';
import type { LogRecord, ReaderPosition, SubscribeOptions, SubscriptionStatus } from './types.js';

/** A partition without holes between offsets. */
export interface PartitionReader {
  readonly partition: number;
  /** Offset that the next record will have. */
  next(): Promise<bigint>;
  /** Records from `from` on, offsets increasing. */
  read(from: bigint, limit: number): Promise<LogRecord[]>;
}

/** First and longest pause after a failure, ms. */
export interface RetryPauses {
  readonly first: number;
  readonly longest: number;
}

/** A look every five seconds costs little, and is how late events are at most once an outage is over. */
export const DEFAULT_RETRY_MS: RetryPauses = { first: 100, longest: 5_000 };

export interface SubscriptionSettings {
  readonly logger: Logger;
  readonly pollIntervalMs: number;
  readonly retryMs: RetryPauses;
}

export interface RunningSubscription {
  status(): SubscriptionStatus;
  /** Resolves when the loop has ended; never rejects. */
  readonly ended: Promise<void>;
}

/** Failures are logged at 1, 2, 4, 8, ... in a row, so that an outage does not fill the disk. */
export const isPowerOfTwo = (n: number) => (n & (n - 1)) === 0;

/** The pause after so many failures in a row, ms: doubled by each, up to the longest. */
export const pauseAfter = (failures: number, { first, longest }: RetryPauses) =>
  Math.min(longest, first * 2 ** Math.min(failures - 1, 20));

export function runSubscription(
  reader: PartitionReader,
  request: SubscribeOptions,
  signal: Signal,
  settings: SubscriptionSettings,
): RunningSubscription {
  let status: SubscriptionStatus = {
    state: 'running',
    lastPollAtMs: null,
    lastError: null,
    failures: 0,
    crashes: 0,
  };
  /** Null: ask for it. */
  let position: bigint | null = null;

  /** One look at the log; waits when there is nothing new. */
  const step = async () => {
    position ??= await open(reader, request);
    signal.clear();
    const next = await reader.next();
    status = { ...status, lastPollAtMs: Date.now() };
    if (next < position) throw gap(reader.partition, position, `it ends at ${next}`);
    if (next > position) {
      const records = await reader.read(position, request.maxRecords);
      const first = records[0]?.offset;
      if (first !== position) {
        throw gap(reader.partition, position, `its next record is ${first ?? 'missing'}`);
      }
      if (signal.stopped) return;
      await request.handler({ partition: reader.partition, from: position, records });
      position = records.at(-1)!.offset + 1n;
    }
    const idle = next <= position;
    status = {
      ...{ state: 'running', lastPollAtMs: Date.now(), lastError: null, failures: 0, crashes: 0 },
    };
    if (idle) await signal.wait(settings.pollIntervalMs);
  };

  const recover = async (error: unknown) => {
    position = null;
    const failures = status.failures + 1;
    status = { ...status, state: 'retrying', lastError: error, failures };
    const pauseMs = pauseAfter(failures, settings.retryMs);
    if (isPowerOfTwo(failures)) {
      settings.logger.error({ err: error, failures, pauseMs }, 'events are not applied; retrying');
    }
    await signal.pause(pauseMs);
  };

  const loop = async () => {
    while (!signal.stopped) {
      try {
        await step();
      } catch (error) {
        await recover(error);
      }
    }
    status = { ...status, state: 'stopped' };
  };
  return { status: () => status, ended: loop() };
}

/** The position to read from, after a look at whether the log is still the one that was read. */
async function open(reader: PartitionReader, request: SubscribeOptions): Promise<bigint> {
  const { partition } = reader;
  const held = new Map([[partition, { low: 0n, next: await reader.next() }]]);
  const stored = (await request.positions(held)).get(partition);
  if (stored === undefined) return 0n;
  await assertSameLog(reader, stored);
  return stored.nextOffset;
}

async function assertSameLog(
  reader: PartitionReader,
  { nextOffset, fingerprint }: ReaderPosition,
): Promise<void> {
  const offset = fingerprintOffset(fingerprint);
  if (offset === null || offset >= nextOffset) return;
  const [record] = await reader.read(offset, 1);
  // Trimmed, or its bytes erased: nothing to compare with. What follows it is held to the position.
  if (record?.offset !== offset || record.erased) return;
  if (fingerprintOf(record) !== fingerprint) throw replaced(reader.partition, offset);
}

/** The record at `offset` is not the one that was applied. */
export function replaced(partition: number, offset: bigint): Error {
  return new EventLogGap({
    detail:
      `partition ${partition}: record ${offset} is not the one that was applied: the log was deleted and ` +
      'made anew; to read it from its start, stop ingest and delete its rows in consumer_positions',
  });
}

function gap(partition: number, position: bigint, found: string): Error {
  return new EventLogGap({
    detail:
      `partition ${partition}: wanted offset ${position}, but ${found}; ` +
      'restore the log, or set the stored position on purpose',
  });
}
