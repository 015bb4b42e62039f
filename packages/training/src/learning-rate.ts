/** The learning rate of each step: linear warm-up, then a cosine down to a share of the peak. */

export interface LearningRateOptions {
  readonly peak: number;
  /** The schedule ends at `peak * finalShare`. */
  readonly finalShare: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
}

/** Rate of step `step`, counted from 0. Warm-up never takes more than a tenth of the run. */
export function learningRateAt(step: number, options: LearningRateOptions): number {
  const { peak, finalShare, totalSteps } = options;
  const warmup = Math.min(options.warmupSteps, Math.floor(totalSteps / 10));
  if (step < warmup) return (peak * (step + 1)) / warmup;
  const progress = Math.min(1, (step - warmup) / Math.max(1, totalSteps - warmup));
  return peak * (finalShare + (1 - finalShare) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
