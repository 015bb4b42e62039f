/**
 * The items of the highest scores at every nested size, without the seen ones: what a list would show. Items come a
 * chunk at a time, so that a catalogue need not be in memory whole. Of equal scores the item with the smaller id comes
 * first; what has no finite score is listed nowhere.
 *
 * Knows queries and item vectors only. Items are internal ids 1..N.
 */
import { createSizeScores, SCORES_AT_ONCE } from './size-scores.js';

export interface ListCases {
  /** Query vectors, cases x D, row-major. */
  readonly queries: Float32Array;
  /** Items that a case's list leaves out, ragged. */
  readonly seenOffsets: Int32Array;
  readonly seen: Int32Array;
}

export interface TopLists {
  /**
   * Takes in items `first`, `first + 1`, ...; chunks come in ascending order.
   * @param itemVectors items x D, row-major.
   */
  add(itemVectors: Float32Array, first: number): void;
  /** Per size, smallest first: cases x length, best first, 0 past the end of a list. */
  readonly bySize: readonly Int32Array[];
}

/** @param sizes nested sizes, the last is D. */
export function createTopLists(
  cases: ListCases,
  sizes: readonly number[],
  length: number,
): TopLists {
  const width = sizes.at(-1)!;
  const count = cases.queries.length / width;
  const bySize = sizes.map(() => new Int32Array(count * length));
  const best = sizes.map(() => new Float32Array(count * length).fill(-Infinity));
  return {
    bySize,
    add(itemVectors, first) {
      const numItems = itemVectors.length / width;
      const scores = createSizeScores(itemVectors, sizes);
      const atOnce = Math.max(1, Math.floor(SCORES_AT_ONCE / numItems));
      for (let from = 0; from < count; from += atOnce) {
        const to = Math.min(count, from + atOnce);
        scores.of(cases.queries.subarray(from * width, to * width), (k, found) => {
          for (let c = from; c < to; c++) {
            const row = found.subarray((c - from) * numItems, (c - from + 1) * numItems);
            const [begin, end] = [c * length, (c + 1) * length];
            const left = cases.seen.subarray(cases.seenOffsets[c]!, cases.seenOffsets[c + 1]!);
            const list = { items: bySize[k]!.subarray(begin, end), left };
            insert(row, first, list, best[k]!.subarray(begin, end));
          }
        });
      }
      scores.dispose();
    },
  };
}

/** Puts what is better than the last of a list where it belongs. */
function insert(
  row: Float32Array,
  first: number,
  { items, left }: { readonly items: Int32Array; readonly left: Int32Array },
  best: Float32Array,
): void {
  const last = items.length - 1;
  for (let i = 0; i < row.length; i++) {
    const score = row[i]!;
    // Most items end here, so that the rest may be slow. Also refuses what is not a number.
    if (!(score > best[last]!) || score === Infinity || left.includes(first + i)) continue;
    let at = last;
    for (; at > 0 && best[at - 1]! < score; at--) {
      best[at] = best[at - 1]!;
      items[at] = items[at - 1]!;
    }
    best[at] = score;
    items[at] = first + i;
  }
}
