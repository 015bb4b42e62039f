/** Compressed sparse rows over items 1..N: item -> (other item, weight), for counting baselines. */
import type { Histories } from './types.js';

export interface SparseRows {
  readonly offsets: Int32Array;
  readonly columns: Int32Array;
  readonly weights: Float32Array;
}

/** Where each item occurs: positions of `histories.items`, grouped by item. */
export interface Occurrences {
  readonly offsets: Int32Array;
  readonly positions: Int32Array;
}

export function occurrencesOf(histories: Histories, itemCount: number): Occurrences {
  const offsets = new Int32Array(itemCount + 2);
  for (const item of histories.items) offsets[item + 1]!++;
  for (let i = 1; i < offsets.length; i++) offsets[i]! += offsets[i - 1]!;
  const next = offsets.slice();
  const positions = new Int32Array(histories.items.length);
  histories.items.forEach((item, position) => (positions[next[item]!++] = position));
  return { offsets, positions };
}

/**
 * Builds rows item by item: `visit` adds weights for one item into a dense line, which is then
 * compressed. Memory is the result plus one line, however many pairs there are.
 */
export function buildSparseRows(
  itemCount: number,
  visit: (item: number, add: (other: number, weight: number) => void) => void,
): SparseRows {
  const offsets = new Int32Array(itemCount + 2);
  const line = new Float32Array(itemCount + 1);
  const touched: number[] = [];
  let columns = new Int32Array(1024);
  let weights = new Float32Array(1024);
  let size = 0;
  const add = (other: number, weight: number) => {
    if (line[other] === 0) touched.push(other);
    line[other]! += weight;
  };
  for (let item = 1; item <= itemCount; item++) {
    visit(item, add);
    if (size + touched.length > columns.length) {
      const capacity = Math.max(columns.length * 2, size + touched.length);
      columns = widen(columns, new Int32Array(capacity));
      weights = widen(weights, new Float32Array(capacity));
    }
    for (const other of touched) {
      columns[size] = other;
      weights[size++] = line[other]!;
      line[other] = 0;
    }
    touched.length = 0;
    offsets[item + 1] = size;
  }
  return { offsets, columns: columns.slice(0, size), weights: weights.slice(0, size) };
}

function widen<T extends Int32Array | Float32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** `out[j] += factor * weight(item, j)`. */
export function addRow(rows: SparseRows, item: number, factor: number, out: Float32Array): void {
  const { columns, weights } = rows;
  const end = rows.offsets[item + 1]!;
  for (let at = rows.offsets[item]!; at < end; at++) out[columns[at]!]! += factor * weights[at]!;
}

/** For every position of `histories.items`: first position of its history, and the one after its last. */
export function boundsOf(histories: Histories): { begin: Int32Array; end: Int32Array } {
  const begin = new Int32Array(histories.items.length);
  const end = new Int32Array(histories.items.length);
  for (let r = 0; r < histories.offsets.length - 1; r++) {
    const [from, to] = [histories.offsets[r]!, histories.offsets[r + 1]!];
    begin.fill(from, from, to);
    end.fill(to, from, to);
  }
  return { begin, end };
}
