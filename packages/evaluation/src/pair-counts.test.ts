import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countPairs, type Neighbourhood, type PairCounts } from './pair-counts.js';

const ITEMS = 6;
const rows = fc.array(fc.array(fc.integer({ min: 1, max: ITEMS }), { maxLength: 12 }), {
  maxLength: 8,
});
const neighbourhoods = fc.record({
  before: fc.nat(4),
  after: fc.nat(4),
  itself: fc.boolean(),
});

/** One pair at a time, in a table of all pairs. */
function naive(histories: readonly number[][], { before, after, itself }: Neighbourhood) {
  const table = Array.from({ length: ITEMS + 1 }, () => new Map<number, number>());
  for (const history of histories)
    history.forEach((item, at) =>
      history.forEach((other, p) => {
        const beside = p !== at && p >= at - before && p <= at + after;
        if (!beside || (!itself && other === item)) return;
        table[item]!.set(other, (table[item]!.get(other) ?? 0) + 1);
      }),
    );
  return table;
}

function rowOf({ offsets, columns, weights }: PairCounts, item: number): Map<number, number> {
  const row = new Map<number, number>();
  for (let i = offsets[item]!; i < offsets[item + 1]!; i++) row.set(columns[i]!, weights[i]!);
  return row;
}

describe('counted pairs', () => {
  it('are those of counting one by one, however small the buffer that groups items', () => {
    fc.assert(
      fc.property(
        rows,
        neighbourhoods,
        fc.integer({ min: 0, max: 60 }),
        (lists, beside, bufferPairs) => {
          const histories = lists.map((list) => Int32Array.from(list));
          const counts = countPairs(histories, ITEMS, beside, { maxPairs: 1_000, bufferPairs });
          const expected = naive(lists, beside);
          for (let item = 1; item <= ITEMS; item++)
            expect(rowOf(counts, item)).toEqual(expected[item]);
        },
      ),
    );
  });

  it('keep the most frequent ones of an item where there are more than may be kept', () => {
    const itemCount = 200;
    // Item 1 stands beside every other item, beside item n that many times.
    const histories = Array.from({ length: itemCount - 1 }, (_, i) =>
      Int32Array.from({ length: 2 * (i + 2) }, (_, at) => (at % 2 === 0 ? 1 : i + 2)),
    );
    const next = { before: 0, after: 1, itself: false };
    for (const bufferPairs of [0, 2 ** 20]) {
      const row = rowOf(countPairs(histories, itemCount, next, { maxPairs: 0, bufferPairs }), 1);
      expect(row.size).toBe(64);
      expect(Math.min(...row.keys())).toBe(itemCount - 63);
      expect(row.get(itemCount)).toBe(itemCount);
    }
  });

  it('of equally frequent pairs keep those that were met first', () => {
    const others = Array.from({ length: 100 }, (_, i) => 150 - i);
    const histories = others.map((other) => Int32Array.of(1, other));
    const next = { before: 0, after: 1, itself: true };
    const counts = countPairs(histories, 150, next, { maxPairs: 0, bufferPairs: 2 ** 20 });
    expect([...rowOf(counts, 1).keys()]).toEqual(others.slice(0, 64));
  });

  it('are all kept as long as all together are few, however many one item has', () => {
    const histories = Array.from({ length: 100 }, (_, i) => Int32Array.of(1, i + 2));
    const next = { before: 0, after: 1, itself: true };
    const keptOf = (maxPairs: number) =>
      rowOf(countPairs(histories, 1_000, next, { maxPairs, bufferPairs: 2 ** 20 }), 1).size;
    expect([100, 99, 70, 10].map(keptOf)).toEqual([100, 99, 70, 64]);
  });
});
