/** Percentile bootstrap: how far a mean over cases might be off, without assuming a distribution. */

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  /** Uniform numbers in [0, 1) from the caller's seeded stream. */
  readonly uniform: () => number;
  /** Default 1,000. */
  readonly resamples?: number;
  /** Share of the resamples within the interval. Default 0.95. */
  readonly level?: number;
}

const DEFAULT_RESAMPLES = 1_000;

/** Interval of the mean of `values` (per-case metrics, or per-case differences of two scorers). */
export function bootstrapInterval(values: ArrayLike<number>, options: BootstrapOptions): Interval {
  const n = values.length;
  if (n === 0) throw new RangeError('a bootstrap needs at least one value');
  const resamples = options.resamples ?? DEFAULT_RESAMPLES;
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[Math.floor(options.uniform() * n)]!;
    means[r] = sum / n;
  }
  return intervalOf(means, options.level);
}

/** A mean with its interval. */
export interface MeanInterval extends Interval {
  readonly mean: number;
}

/**
 * Means of several columns over the same cases, with intervals that draw whole groups (the cases of one
 * user), since the cases of a group are no independent observations. All columns see the same draws.
 *
 * @param columns each as long as `groups`.
 * @param groups which group each case belongs to; any numbers.
 */
export function groupedBootstrap(
  columns: readonly ArrayLike<number>[],
  groups: ArrayLike<number>,
  options: BootstrapOptions,
): MeanInterval[] {
  if (groups.length === 0) throw new RangeError('a bootstrap needs at least one value');
  const width = columns.length + 1;
  const { sums, count } = sumByGroup(columns, groups);
  const resamples = options.resamples ?? DEFAULT_RESAMPLES;
  const means = columns.map(() => new Float64Array(resamples));
  const drawn = new Float64Array(width);
  for (let r = 0; r < resamples; r++) {
    drawn.fill(0);
    for (let g = 0; g < count; g++) {
      const at = Math.floor(options.uniform() * count) * width;
      for (let c = 0; c < width; c++) drawn[c]! += sums[at + c]!;
    }
    means.forEach((values, c) => (values[r] = drawn[c]! / drawn[width - 1]!));
  }
  return columns.map((values, c) => {
    let total = 0;
    for (let i = 0; i < values.length; i++) total += values[i]!;
    return { mean: total / values.length, ...intervalOf(means[c]!, options.level) };
  });
}

/** Per group, side by side: the sum of each column, then the number of cases. */
function sumByGroup(columns: readonly ArrayLike<number>[], groups: ArrayLike<number>) {
  const width = columns.length + 1;
  const places = new Map<number, number>();
  const placeOf = Int32Array.from(groups, (group) => {
    const place = places.get(group) ?? places.size;
    places.set(group, place);
    return place;
  });
  const sums = new Float64Array(places.size * width);
  placeOf.forEach((place, i) => {
    columns.forEach((values, c) => (sums[place * width + c]! += values[i]!));
    sums[place * width + width - 1]! += 1;
  });
  return { sums, count: places.size };
}

/** The middle `level` of the resampled means; sorts them. */
function intervalOf(means: Float64Array, level = 0.95): Interval {
  means.sort();
  const last = means.length - 1;
  const at = (share: number) => means[Math.min(last, Math.max(0, Math.round(share * last)))]!;
  return { low: at((1 - level) / 2), high: at((1 + level) / 2) };
}
