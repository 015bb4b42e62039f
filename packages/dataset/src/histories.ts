/**
 * Every user's events as ranges of one run of items, in memory or on disk. A part of the events, such as the
 * training part of a split, is another choice of ranges and copies none.
 */
import { inOrder, type Numbers } from './numbers.js';

/** Row r is `items[begin[r] .. end[r])`, oldest first; rows lie in order and do not overlap. */
export class Histories implements Iterable<Int32Array> {
  /** Events of all rows. */
  readonly events: number;

  constructor(
    readonly items: Numbers<Int32Array>,
    readonly begin: Int32Array,
    readonly end: Int32Array,
  ) {
    let events = 0;
    for (let row = 0; row < begin.length; row++) events += end[row]! - begin[row]!;
    this.events = events;
  }

  /** Rows that lie end to end: row r is `items[offsets[r] .. offsets[r + 1])`. */
  static of({ offsets, items }: { offsets: Int32Array; items: Numbers<Int32Array> }): Histories {
    return new Histories(items, offsets.subarray(0, -1), offsets.subarray(1));
  }

  get rows(): number {
    return this.begin.length;
  }

  /** Row by row, as often as asked; only a block of a file is in memory at a time. */
  *[Symbol.iterator](): Generator<Int32Array> {
    const items = inOrder(this.items);
    for (let row = 0; row < this.rows; row++)
      yield items.subarray(this.begin[row]!, this.end[row]!);
  }
}

/** The row that holds `position`, where row r is `offsets[r] .. offsets[r + 1]` (empty rows hold nothing). */
export function rowOf(offsets: Int32Array, position: number): number {
  let [low, high] = [0, offsets.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (offsets[middle]! <= position) low = middle;
    else high = middle;
  }
  return low;
}
