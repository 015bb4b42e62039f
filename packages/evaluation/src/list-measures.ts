/**
 * What lists are like, whoever they are for: how much of the catalogue they show, how popular their items are, how
 * much the items of one list differ.
 */

export interface ListMeasures {
  /** Share of the catalogue's items that stand in at least one list. */
  readonly coverage: number;
  /**
   * Gini coefficient of how often each item of the catalogue is shown: 0 where all are shown alike, near 1 where a
   * few are shown all the time.
   */
  readonly gini: number;
  /** Per list: mean number of training events of its items; 0 for an empty list. */
  readonly popularity: Float64Array;
  /** Per list: mean of 1 - cosine over the pairs of its items; 0 where it has no pair. */
  readonly diversity: Float64Array;
}

export interface ListContext {
  /** Items of a list; the rows of `lists`. */
  readonly length: number;
  /** Training events by item; index 0 is no item, the last index is the last item. */
  readonly counts: ArrayLike<number>;
  /** Rows of length 1 (or 0): what likeness is measured by. */
  readonly vectors: Float32Array;
  readonly width: number;
  /** Row of each item that is listed anywhere. */
  readonly rowOf: Int32Array;
}

/** @param lists rows of `length` items, 0 past the end of a list. */
export function measureLists(lists: Int32Array, context: ListContext): ListMeasures {
  const { length, counts } = context;
  const shown = new Float64Array(counts.length - 1);
  const rows = lists.length / length;
  const popularity = new Float64Array(rows);
  const diversity = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const items = lists.subarray(row * length, (row + 1) * length).filter((item) => item > 0);
    for (const item of items) {
      shown[item - 1]!++;
      popularity[row]! += counts[item]! / items.length;
    }
    diversity[row] = meanDistance(items, context);
  }
  const covered = shown.reduce((sum, times) => sum + Number(times > 0), 0);
  return { coverage: covered / shown.length, gini: giniOf(shown), popularity, diversity };
}

function meanDistance(items: Int32Array, { vectors, width, rowOf }: ListContext): number {
  const pairs = (items.length * (items.length - 1)) / 2;
  if (pairs === 0) return 0;
  // |sum of rows|^2 is the sum of all cosines: a pass over the rows in place of one over their pairs.
  const total = new Float64Array(width);
  let own = 0;
  for (const item of items) {
    const at = rowOf[item]! * width;
    for (let f = 0; f < width; f++) {
      total[f]! += vectors[at + f]!;
      own += vectors[at + f]! ** 2;
    }
  }
  const all = total.reduce((sum, value) => sum + value * value, 0);
  return 1 - (all - own) / 2 / pairs;
}

/** Of values that are not negative; 0 where all are 0. */
export function giniOf(values: Float64Array): number {
  const sorted = Float64Array.from(values).sort();
  const n = sorted.length;
  let [sum, weighted] = [0, 0];
  sorted.forEach((value, i) => {
    sum += value;
    weighted += (2 * (i + 1) - n - 1) * value;
  });
  return sum === 0 ? 0 : weighted / (n * sum);
}
