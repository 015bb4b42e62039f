/** Percentile bootstrap: how far a mean over cases might be off, without assuming a distribution. */

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Interval of the mean of `values` (per-case metrics, or per-case differences of two scorers).
 *
 * @param uniform uniform numbers in [0, 1) from the caller's seeded stream.
 */
export function bootstrapInterval(
  values: ArrayLike<number>,
  options: { readonly uniform: () => number; readonly resamples?: number; readonly level?: number },
): Interval {
  const n = values.length;
  if (n === 0) throw new RangeError('a bootstrap needs at least one value');
  const resamples = options.resamples ?? 1_000;
  const level = options.level ?? 0.95;
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[Math.floor(options.uniform() * n)]!;
    means[r] = sum / n;
  }
  means.sort();
  const at = (share: number) =>
    means[Math.min(resamples - 1, Math.max(0, Math.round(share * (resamples - 1))))]!;
  return { low: at((1 - level) / 2), high: at((1 + level) / 2) };
}
