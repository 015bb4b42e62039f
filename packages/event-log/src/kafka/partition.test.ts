import { EventLogGap } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { fingerprintOf } from '../fingerprint.js';
import type { LogRecord } from '../types.js';
import { createPartition } from './partition.js';

const record = (offset: number, text = String(offset)): LogRecord => ({
  ...{ offset: BigInt(offset), key: 'k', appendedAtMs: 1_000 + offset },
  value: new TextEncoder().encode(text),
});
const fetched = (from: number, offsets: number[], last = offsets.at(-1) ?? from) => ({
  ...{ fetchedOffset: BigInt(from), lastOffset: BigInt(last) },
  records: offsets.map((offset) => record(offset)),
});
const range = { low: 0n, next: 100n };
const at = (nextOffset: number, last: LogRecord | null = null) => ({
  nextOffset: BigInt(nextOffset),
  fingerprint: last === null ? null : fingerprintOf(last),
});
const offsetsOf = (verdict: ReturnType<ReturnType<typeof createPartition>['judge']>) =>
  verdict.kind === 'apply'
    ? verdict.batch.records.map(({ offset }) => Number(offset))
    : verdict.kind;

describe('a partition', () => {
  it('begins one record before its position, compares it, and hands over what follows', () => {
    const partition = createPartition(3);
    expect(partition.open(at(10, record(9)), range)).toBe(9n);
    const verdict = partition.judge(fetched(9, [9, 10, 11]));
    expect(verdict).toMatchObject({ kind: 'apply', batch: { partition: 3, from: 10n } });
    expect(offsetsOf(verdict)).toEqual([10, 11]);
  });

  it('stops when the last applied record is another one, or none where one must be', () => {
    for (const batch of [
      { ...fetched(9, [9, 10]), records: [record(9, 'another'), record(10)] },
      fetched(9, [10, 11]),
    ]) {
      const partition = createPartition(0);
      partition.open(at(10, record(9)), range);
      expect(() => partition.judge(batch)).toThrow(EventLogGap);
    }
  });

  it('compares nothing where the last applied record is gone by retention', () => {
    const partition = createPartition(0);
    expect(partition.open(at(10, record(9)), { low: 10n, next: 100n })).toBe(10n);
    expect(offsetsOf(partition.judge(fetched(10, [10])))).toEqual([10]);
  });

  it.each([
    [10, { low: 11n, next: 100n }, /oldest record is 11.*1 records went/s],
    [101, { low: 0n, next: 100n }, /ends at 100/],
  ])('refuses to open at %s in %o', (position, held, why) => {
    const open = () => createPartition(0).open(at(position), held);
    expect(open).toThrow(EventLogGap);
    expect(open).toThrow(why);
  });

  it('starts at the oldest record where nothing was applied, and says that nothing is missing', () => {
    const partition = createPartition(0);
    expect(partition.open(undefined, { low: 40n, next: 100n })).toBe(40n);
    expect(partition.judge(fetched(40, [40]))).toMatchObject({ batch: { from: 0n } });
  });

  it('asks to be opened again when the client fetched from elsewhere', () => {
    const partition = createPartition(0);
    partition.open(at(10), range);
    expect(partition.judge(fetched(0, [0, 1])).kind).toBe('reopen');
    expect(partition.judge(fetched(12, [12])).kind).toBe('reopen');
    expect(offsetsOf(partition.judge(fetched(10, [10])))).toEqual([10]);
  });

  it('takes holes of aborted and control records for what they are', () => {
    const partition = createPartition(0);
    partition.open(at(10), range);
    expect(offsetsOf(partition.judge(fetched(10, [13], 15)))).toEqual([13]);
    partition.applied(14n);
    // A batch of nothing but such records never comes here: the client passes over it.
    partition.passed(16n, 20n);
    const verdict = partition.judge(fetched(20, [20]));
    expect(verdict).toMatchObject({ kind: 'apply', batch: { from: 14n } });
  });

  it('does not follow the client over records that were not what had to come next', () => {
    const partition = createPartition(0);
    partition.open(at(100), { low: 50n, next: 400n });
    // Retention took 100 to 299 after the opening, and all that is left is of an aborted transaction.
    partition.passed(300n, 310n);
    expect(partition.judge(fetched(310, [310])).kind).toBe('reopen');
  });

  it('skips what was applied before', () => {
    const partition = createPartition(0);
    partition.open(at(10, record(5)), range);
    expect(partition.judge(fetched(5, [5, 6, 9])).kind).toBe('skip');
    expect(offsetsOf(partition.judge(fetched(10, [10])))).toEqual([10]);
  });
});
