/**
 * How long it takes to answer one query at each nested size: the products with every item, and the best of them.
 *
 * In JavaScript on one thread, over rows that lie one after the other at that size; neither a database nor an index
 * nor a network is in it. It says how the work grows with the size, not what a server answers in.
 */
import { dot } from './rows.js';
import { topOf } from './top-of.js';

export interface ScoringTime {
  readonly size: number;
  /** Queries that were timed. */
  readonly queries: number;
  readonly medianMs: number;
  readonly p95Ms: number;
}

export interface ScoringTask {
  /** Item vectors, items x D, row-major. */
  readonly items: Float32Array;
  /** Query vectors, queries x D, row-major; at least one. */
  readonly queries: Float32Array;
  /** Nested sizes, the last is D. */
  readonly sizes: readonly number[];
  /** Items of a list. */
  readonly length: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** No query is begun after so long at one size; above 0. */
  readonly mostMsPerSize: number;
}

/** Queries before the clock counts: the engine compiles what it sees often. */
const WARM_UP = 3;

export function measureScoring(task: ScoringTask): ScoringTime[] {
  const { items, queries, sizes, length, now, mostMsPerSize } = task;
  const width = sizes.at(-1)!;
  const numItems = items.length / width;
  const count = queries.length / width;
  const scores = new Float32Array(numItems + 1).fill(-Infinity);
  const none = new Int32Array(0);
  const list = new Int32Array(length);
  return sizes.map((size) => {
    const rows = prefixes(items, width, size);
    const asked = prefixes(queries, width, size);
    const answer = (q: number) => {
      const query = asked.subarray(q * size, (q + 1) * size);
      for (let item = 0; item < numItems; item++) scores[item + 1] = dot(rows, item * size, query);
      topOf(scores, none, list);
    };
    for (let q = 0; q < Math.min(WARM_UP, count); q++) answer(q);
    const times: number[] = [];
    const begun = now();
    for (let q = 0, last = begun; q < count && last - begun < mostMsPerSize; q++) {
      answer(q);
      const done = now();
      times.push(done - last);
      last = done;
    }
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.ceil(share * times.length) - 1]!;
    return { size, queries: times.length, medianMs: at(0.5), p95Ms: at(0.95) };
  });
}

/** The first `size` numbers of every row, one row after the other. */
function prefixes(rows: Float32Array, width: number, size: number): Float32Array {
  if (size === width) return rows;
  const count = rows.length / width;
  const out = new Float32Array(count * size);
  for (let r = 0; r < count; r++) out.set(rows.subarray(r * width, r * width + size), r * size);
  return out;
}
