import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isError, StagingFailed } from '@nestrec/errors';
import { createRandom } from '@nestrec/random';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { NumberSpool } from './number-list.js';
import { inOrder, NumberFile, readRanges } from './numbers.js';
import { numberAtRank } from './order-statistics.js';
import { Spill } from './spill.js';

let folder: string;
let spill: Spill;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nestrec-numbers-'));
  spill = new Spill({ folder, eventsInMemory: 3 });
});
afterEach(() => spill.close());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function int32(values: Iterable<number>) {
  const spool = new NumberSpool(Int32Array, spill);
  for (const value of values) spool.push(value);
  return spool.finish();
}

function float64(values: Iterable<number>) {
  const spool = new NumberSpool(Float64Array, spill);
  for (const value of values) spool.push(value);
  return spool.finish();
}

const thrown = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe('numbers in a file', () => {
  it('are in memory up to the limit and in a file beyond it, with no name in the folder', () => {
    expect(int32([1, 2, 3])).toBeInstanceOf(Int32Array);
    expect(int32([1, 2, 3, 4])).toBeInstanceOf(NumberFile);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('give back every range that was written, in any order of reading', () => {
    const numbers = Array.from({ length: 300_000 }, (_, i) => (i * 2_654_435_761) | 0);
    const whole = Int32Array.from(numbers);
    const file = int32(numbers);
    const ahead = inOrder(file);
    const random = createRandom(1);
    expect(file.length).toBe(whole.length);
    for (const length of [0, 1, 1_000, 270_000])
      for (let i = 0; i < 20; i++) {
        const from = random.int(whole.length - length);
        const expected = whole.subarray(from, from + length);
        expect(
          Buffer.compare(Buffer.from(file.subarray(from, from + length)), Buffer.from(expected)),
        ).toBe(0);
        expect(
          Buffer.compare(Buffer.from(ahead.subarray(from, from + length)), Buffer.from(expected)),
        ).toBe(0);
      }
  });

  it('give the same for many ranges at once, near or far, overlapping or empty', () => {
    const whole = Int32Array.from({ length: 100_000 }, (_, i) => i);
    const file = int32(whole);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(99_000), fc.nat(1_000)), { maxLength: 30 }),
        (ranges) => {
          const from = Int32Array.from(ranges, ([start]) => start);
          const to = Int32Array.from(ranges, ([start, length]) => start + length);
          const got = readRanges(file, from, to).map((part) => [part.length, part[0], part.at(-1)]);
          const expected = readRanges(whole, from, to).map((p) => [p.length, p[0], p.at(-1)]);
          expect(got).toEqual(expected);
        },
      ),
    );
  });

  it('say so when the file was cut by another program, or cannot be made', () => {
    const file = int32([1, 2, 3, 4]) as NumberFile<Int32Array>;
    const longer = new NumberFile(file.descriptor, 10, Int32Array);
    expect(
      isError(
        thrown(() => longer.subarray(0, 10)),
        StagingFailed,
      ),
    ).toBe(true);
    spill.close();
    expect(
      isError(
        thrown(() => file.subarray(0, 1)),
        StagingFailed,
      ),
    ).toBe(true);
    const nowhere = new Spill({ folder: join(folder, 'a\0b') });
    expect(
      isError(
        thrown(() => nowhere.openFile()),
        StagingFailed,
      ),
    ).toBe(true);
  });
});

describe('numberAtRank', () => {
  it('is what sorting would give, in memory and in a file, with ties and far extremes', () => {
    const value = fc.oneof(
      fc.integer({ min: 0, max: 5 }),
      fc.integer(),
      fc.double({ noNaN: true, min: -1e15, max: 1e15 }),
    );
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), fc.nat(), (values, at) => {
        const rank = at % values.length;
        const expected = [...values].sort((a, b) => a - b)[rank];
        expect(numberAtRank(Float64Array.from(values), rank)).toBeCloseTo(expected!, 12);
        expect(numberAtRank(float64(values), rank)).toBeCloseTo(expected!, 12);
        spill.close();
      }),
      { numRuns: 50 },
    );
  });
});
