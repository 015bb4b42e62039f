/**
 * Percentile bootstrap: how far a mean over cases might be off, without assuming a distribution.
 *
 * `resampleByGroup` draws whole groups, such as the cases of one user, since the cases of a group are no independent
 * observations. Every column sees the same draws, so that the means of two columns on one draw may be subtracted or
 * divided: that is what makes a comparison a paired one.
 */

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

export const DEFAULT_RESAMPLES = 1_000;
export const DEFAULT_LEVEL = 0.95;

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

export interface Resamples {
  /** Mean of a column over the cases, with its interval. */
  estimate(column: number): MeanInterval;
  /** Mean of one column minus that of another. */
  difference(column: number, other: number): MeanInterval;
  /** Mean of one column divided by that of another; null where that is 0 in a resample. */
  ratio(column: number, other: number): MeanInterval | null;
}

/**
 * @param columns one value per case, each as long as `groups`.
 * @param groups which group each case belongs to; any numbers.
 */
export function resampleByGroup(
  columns: readonly ArrayLike<number>[],
  groups: ArrayLike<number>,
  options: BootstrapOptions,
): Resamples {
  if (groups.length === 0) throw new RangeError('a bootstrap needs at least one value');
  const { resamples = DEFAULT_RESAMPLES, level } = options;
  const sums = sumByGroup(columns, groups);
  const drawn = drawMeans(sums, columns.length, resamples, options.uniform);
  const means = columns.map((_, c) => {
    let total = 0;
    for (let g = 0; g < sums.count; g++) total += sums.values[g * sums.width + c]!;
    return total / groups.length;
  });
  const derived = (mean: number, of: (resample: Float64Array) => number): MeanInterval => ({
    mean,
    ...intervalOf(Float64Array.from(drawn, of), level),
  });
  return {
    estimate: (c) => derived(means[c]!, (resample) => resample[c]!),
    difference: (a, b) => derived(means[a]! - means[b]!, (resample) => resample[a]! - resample[b]!),
    ratio: (a, b) =>
      means[b] === 0 || drawn.some((resample) => resample[b] === 0)
        ? null
        : derived(means[a]! / means[b]!, (resample) => resample[a]! / resample[b]!),
  };
}

interface GroupSums {
  /** Per group, side by side: the sum of each column, then the number of cases. */
  readonly values: Float64Array;
  readonly width: number;
  readonly count: number;
}

function sumByGroup(columns: readonly ArrayLike<number>[], groups: ArrayLike<number>): GroupSums {
  const width = columns.length + 1;
  const places = new Map<number, number>();
  const placeOf = Int32Array.from(groups, (group) => {
    const place = places.get(group) ?? places.size;
    places.set(group, place);
    return place;
  });
  const values = new Float64Array(places.size * width);
  columns.forEach((column, c) => {
    for (let i = 0; i < placeOf.length; i++) values[placeOf[i]! * width + c]! += column[i]!;
  });
  for (const place of placeOf) values[place * width + width - 1]! += 1;
  return { values, width, count: places.size };
}

/** Per resample the mean of every column over the cases of as many groups as there are, drawn with replacement. */
function drawMeans(
  { values, width, count }: GroupSums,
  columns: number,
  resamples: number,
  uniform: () => number,
): Float64Array[] {
  const times = new Int32Array(count);
  const sums = new Float64Array(width);
  // Most users have no hit with any scorer: all that a draw of them changes is the number of cases.
  const scored = Uint8Array.from({ length: count }, (_, g) =>
    Number(values.subarray(g * width, g * width + columns).some((sum) => sum !== 0)),
  );
  return Array.from({ length: resamples }, () => {
    times.fill(0);
    for (let g = 0; g < count; g++) times[Math.floor(uniform() * count)]!++;
    sums.fill(0);
    let cases = 0;
    for (let g = 0; g < count; g++) {
      const factor = times[g]!;
      if (factor === 0) continue;
      const at = g * width;
      cases += factor * values[at + columns]!;
      if (scored[g] === 1) for (let c = 0; c < columns; c++) sums[c]! += factor * values[at + c]!;
    }
    return sums.slice(0, columns).map((sum) => sum / cases);
  });
}

/**
 * Means of several columns over the same cases, with intervals that draw whole groups.
 *
 * @param columns each as long as `groups`.
 * @param groups which group each case belongs to; any numbers.
 */
export function groupedBootstrap(
  columns: readonly ArrayLike<number>[],
  groups: ArrayLike<number>,
  options: BootstrapOptions,
): MeanInterval[] {
  const resamples = resampleByGroup(columns, groups, options);
  return columns.map((_, c) => resamples.estimate(c));
}

/** The middle `level` of the resampled means; sorts them. */
function intervalOf(means: Float64Array, level = DEFAULT_LEVEL): Interval {
  means.sort();
  const last = means.length - 1;
  const at = (share: number) => means[Math.min(last, Math.max(0, Math.round(share * last)))]!;
  return { low: at((1 - level) / 2), high: at((1 + level) / 2) };
}
