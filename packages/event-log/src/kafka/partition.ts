/**
 * One assigned partition: where it is read, what is checked before its records are handed over, and what
 * happens after a failure. The client's own idea of the offset is never trusted: it seeks asynchronously
 * after an assignment, and falls back to the oldest record when an offset is not there.
 *
 * Life: closed -> opening (paused; position read, log checked, client told to seek) -> open -> closed after a
 * failure, to be opened again after a pause.
 */
import { EventLogGap } from '@nestrec/errors';
import { fingerprintOf, fingerprintOffset } from '../fingerprint.js';
import { replaced } from '../subscription.js';
import type { LogBatch, LogRecord, OffsetRange, ReaderPosition } from '../types.js';

/** What the client fetched for one partition. */
export interface FetchedBatch {
  /** The offset that was asked for. */
  readonly fetchedOffset: bigint;
  /** Offsets increasing; control records and aborted ones are gone. */
  readonly records: readonly LogRecord[];
  /** Offset of the last record in it, also of those that are gone. */
  readonly lastOffset: bigint;
}

export type Verdict =
  /** Hand these over. */
  | { readonly kind: 'apply'; readonly batch: LogBatch }
  /** Nothing in it for us. */
  | { readonly kind: 'skip' }
  /** Not what was asked for: look at the position and the log again. */
  | { readonly kind: 'reopen' };

export interface Partition {
  readonly id: number;
  /**
   * Where reading has to begin, so that the last applied record can be compared.
   * @throws EventLogGap where the log does not continue at the position
   */
  open(stored: ReaderPosition | undefined, range: OffsetRange): bigint;
  /** @throws EventLogGap where the last applied record is another one now */
  judge(fetched: FetchedBatch): Verdict;
  /** First offset not applied. */
  readonly position: bigint;
  /** Everything below `nextOffset` is applied. */
  applied(nextOffset: bigint): void;
  /**
   * The client went on by itself, over records that are no events, from the one at `from`. Where that is not
   * what had to come next, the next batch is not what was asked for either, and opens the partition anew.
   */
  passed(from: bigint, nextOffset: bigint): void;
}

export function createPartition(id: number): Partition {
  /** First offset not applied. */
  let position = 0n;
  /** Offset that the next fetch has to begin at. */
  let next = 0n;
  /** Fingerprint that the first record of the next batch has to have; null once seen. */
  let unchecked: string | null = null;

  return {
    id,
    get position() {
      return position;
    },
    open: (stored, range) => {
      position = stored?.nextOffset ?? 0n;
      assertContinues(id, position, range, stored !== undefined);
      const last = fingerprintOffset(stored?.fingerprint ?? null);
      const comparable = last !== null && last < position && last >= range.low;
      unchecked = comparable ? stored!.fingerprint : null;
      next = comparable ? last : position;
      // Never read, and the oldest records are gone: they are nobody's loss here.
      if (position < range.low) next = range.low;
      return next;
    },
    judge: ({ fetchedOffset, records, lastOffset }) => {
      if (fetchedOffset !== next) return { kind: 'reopen' };
      if (unchecked !== null) {
        const last = fingerprintOffset(unchecked)!;
        const record = records.find(({ offset }) => offset === last);
        if (record === undefined || fingerprintOf(record) !== unchecked) throw replaced(id, last);
        unchecked = null;
      }
      next = lastOffset + 1n;
      const fresh = records.filter(({ offset }) => offset >= position);
      if (fresh.length === 0) return { kind: 'skip' };
      return { kind: 'apply', batch: { partition: id, from: position, records: fresh } };
    },
    applied: (nextOffset) => {
      position = nextOffset;
    },
    passed: (from, nextOffset) => {
      if (from <= next) next = nextOffset;
    },
  };
}

function assertContinues(
  id: number,
  position: bigint,
  { low, next }: OffsetRange,
  applied: boolean,
): void {
  if (position > next) {
    throw new EventLogGap({
      detail:
        `partition ${id}: wanted offset ${position}, but it ends at ${next}: the log was deleted and made ` +
        'anew, or lost records; restore it, or stop ingest and delete its rows in consumer_positions',
    });
  }
  if (applied && position < low) {
    throw new EventLogGap({
      detail:
        `partition ${id}: wanted offset ${position}, but its oldest record is ${low}: ${low - position} ` +
        'records went before they were applied (retention); restore them from a copy, or accept the ' +
        `loss by setting next_offset of partition ${id} in consumer_positions to ${low}`,
    });
  }
}
