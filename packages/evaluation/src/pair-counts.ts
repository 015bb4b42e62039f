/**
 * How often items stand beside one another in histories, as compressed sparse rows: what counting baselines
 * look up.
 *
 * Goes through the histories several times instead of holding them: once to see how much each item will have
 * to count, then once per group of items that fits a buffer. Memory grows with items, not with events.
 */
import type { TrainingHistories } from './types.js';

/** Row i: the items `columns[offsets[i] .. offsets[i + 1])` that stand beside i, and how often. */
export interface PairCounts {
  readonly offsets: Int32Array;
  readonly columns: Int32Array;
  readonly weights: Float32Array;
}

/** Which items of a history stand beside the one at a position. */
export interface Neighbourhood {
  /** Steps back and forth. */
  readonly before: number;
  readonly after: number;
  /** Whether an item can stand beside itself. */
  readonly itself: boolean;
  /** A pair g steps apart (at most 255) counts decay^(g - 1). Default: 1, however far. */
  readonly decay?: number;
}

export interface PairLimits {
  /** Pairs kept in all: where there are more, items keep their most frequent ones, up to one same number. */
  readonly maxPairs: number;
  /** Pairs counted in one pass over the histories. */
  readonly bufferPairs: number;
}

/** 268 MB of pairs (Amazon Beauty has 16 MB of them) and 67 MB of buffer at most. */
const LIMITS: PairLimits = { maxPairs: 2 ** 25, bufferPairs: 2 ** 24 };
/** Kept per item however many items there are. */
const LEAST_KEPT = 64;

export function countPairs(
  histories: TrainingHistories,
  itemCount: number,
  neighbourhood: Neighbourhood,
  limits: PairLimits = LIMITS,
): PairCounts {
  const expected = pairsToCount(histories, itemCount, neighbourhood);
  const rows = sparseRows(expected, itemCount, keptPerItem(expected, itemCount, limits.maxPairs));
  for (let first = 1, last = 1; first <= itemCount; first = ++last) {
    let total = expected[first]!;
    while (last < itemCount && total + expected[last + 1]! <= limits.bufferPairs)
      total += expected[++last]!;
    if (total <= limits.bufferPairs)
      countGroup(histories, neighbourhood, expected.subarray(first, last + 1), first, rows);
    else countOne(histories, neighbourhood, first, rows);
  }
  return rows.finish();
}

/** For every item an upper bound of the pairs it is the first of. */
function pairsToCount(
  histories: TrainingHistories,
  itemCount: number,
  { before, after }: Neighbourhood,
): Float64Array {
  const expected = new Float64Array(itemCount + 1);
  for (const history of histories)
    history.forEach((item, at) => {
      expected[item]! += Math.min(before, at) + Math.min(after, history.length - 1 - at);
    });
  return expected;
}

const pairsKept = (expected: Float64Array, most: number) =>
  expected.reduce((sum, count) => sum + Math.min(count, most), 0);

/** The most pairs that every item may keep so that all together are not too many. */
function keptPerItem(expected: Float64Array, itemCount: number, maxPairs: number): number {
  if (pairsKept(expected, itemCount) <= maxPairs) return itemCount;
  let [kept, tooMany] = [LEAST_KEPT, itemCount];
  while (tooMany - kept > 1) {
    const middle = (kept + tooMany) >>> 1;
    if (pairsKept(expected, middle) <= maxPairs) kept = middle;
    else tooMany = middle;
  }
  return kept;
}

/** Rows in the making: `add` pairs of one item, then `endRow`; items come in order. */
interface RowsInTheMaking {
  add(other: number, weight: number): void;
  endRow(item: number): void;
  finish(): PairCounts;
}

function sparseRows(expected: Float64Array, itemCount: number, most: number): RowsInTheMaking {
  const capacity = pairsKept(expected, most);
  // Memory that is never written to is never taken: a bound that is too high costs nothing.
  const columns = new Int32Array(capacity);
  const weights = new Float32Array(capacity);
  const offsets = new Int32Array(itemCount + 2);
  const line = new Float64Array(itemCount + 1);
  const histogram = new Int32Array(ALIKE_FROM + 1);
  let touched: number[] = [];
  let size = 0;
  return {
    add(other, weight) {
      if (line[other] === 0) touched.push(other);
      line[other]! += weight;
    },
    endRow(item) {
      const bar = touched.length > most ? barOf(touched, line, most, histogram) : ALL;
      let ties = bar.ties;
      for (const other of touched) {
        const count = line[other]!;
        line[other] = 0;
        const alike = alikeOf(count);
        if (alike < bar.count || (alike === bar.count && ties-- <= 0)) continue;
        columns[size] = other;
        weights[size++] = count;
      }
      touched = [];
      offsets[item + 1] = size;
    },
    finish: () => ({
      offsets,
      columns: columns.subarray(0, size),
      weights: weights.subarray(0, size),
    }),
  };
}

/** Counts from here on are alike when it comes to which are kept, and so are those of one whole number. */
const ALIKE_FROM = 2 ** 16;
const alikeOf = (count: number) => Math.min(Math.floor(count), ALIKE_FROM);

/** Pairs with a higher count are kept, and so many of those with this one, the first that were met. */
interface Bar {
  readonly count: number;
  readonly ties: number;
}
const ALL: Bar = { count: 0, ties: Infinity };

/** The bar that `most` of the touched items pass: counted, since sorting every row would take minutes. */
function barOf(
  touched: readonly number[],
  line: Float64Array,
  most: number,
  histogram: Int32Array,
): Bar {
  let highest = 0;
  for (const other of touched) {
    const alike = alikeOf(line[other]!);
    histogram[alike]!++;
    if (alike > highest) highest = alike;
  }
  let [count, above] = [highest, 0];
  while (above + histogram[count]! < most) above += histogram[count--]!;
  histogram.fill(0, 0, highest + 1);
  return { count, ties: most - above };
}

/** Counts the pairs of items `first ..`, as many as `expected` has, in one pass. */
function countGroup(
  histories: TrainingHistories,
  { before, after, itself, decay = 1 }: Neighbourhood,
  expected: Float64Array,
  first: number,
  rows: RowsInTheMaking,
): void {
  const begin = new Int32Array(expected.length + 1);
  expected.forEach((count, i) => (begin[i + 1] = begin[i]! + count));
  const others = new Int32Array(begin[expected.length]!);
  const gaps = new Uint8Array(decay === 1 ? 0 : others.length);
  const weights = powersOf(decay);
  const next = begin.slice();
  for (const history of histories)
    for (let at = 0; at < history.length; at++) {
      const row = history[at]! - first;
      if (row < 0 || row >= expected.length) continue;
      const to = Math.min(history.length, at + after + 1);
      for (let p = Math.max(0, at - before); p < to; p++)
        if (p !== at && (itself || history[p] !== history[at])) {
          if (decay !== 1) gaps[next[row]!] = Math.abs(p - at);
          others[next[row]!++] = history[p]!;
        }
    }
  for (let row = 0; row < expected.length; row++) {
    for (let i = begin[row]!; i < next[row]!; i++)
      rows.add(others[i]!, decay === 1 ? 1 : weights[gaps[i]!]!);
    rows.endRow(first + row);
  }
}

/** Counts the pairs of one item that has too many for the buffer. */
function countOne(
  histories: TrainingHistories,
  { before, after, itself, decay = 1 }: Neighbourhood,
  item: number,
  rows: RowsInTheMaking,
): void {
  const weights = powersOf(decay);
  for (const history of histories)
    for (let at = history.indexOf(item); at >= 0; at = history.indexOf(item, at + 1)) {
      const to = Math.min(history.length, at + after + 1);
      for (let p = Math.max(0, at - before); p < to; p++)
        if (p !== at && (itself || history[p] !== item))
          rows.add(history[p]!, decay === 1 ? 1 : weights[Math.abs(p - at)]!);
    }
  rows.endRow(item);
}

/** Weight of a pair by the steps between, 1 to 255. */
function powersOf(decay: number): Float64Array {
  return Float64Array.from({ length: 256 }, (_, gap) => decay ** (gap - 1));
}

/** `out[j] += factor * weight(item, j)`. */
export function addRow(rows: PairCounts, item: number, factor: number, out: Float32Array): void {
  const { columns, weights } = rows;
  const end = rows.offsets[item + 1]!;
  for (let at = rows.offsets[item]!; at < end; at++) out[columns[at]!]! += factor * weights[at]!;
}
