/**
 * The residual of an item that the model has not learned: R = strength x mean of the residuals of the learned items that
 * are most like it by features, weighted by the softmax of likeness / temperature. One more takes part in the softmax,
 * whose residual is 0 and whose likeness is the threshold: an item that nothing is that much like gets little.
 *
 * Neither neighbours nor weights look at a coordinate of the vectors, so the fill of a model cut to a size is the
 * beginning of the whole model's (docs/model.md, section 6b).
 */
import type { ColdItems, FeatureSpec } from '@nestrec/contracts';
import { indexLikeItems, type LikeItems } from './like-items.js';
import type { Likeness } from './likeness.js';

export interface LearnedItems {
  /** N x F, row-major. */
  readonly features: Float32Array;
  readonly spec: FeatureSpec;
  /** By which they are compared (`fitLikeness` of @nestrec/training). */
  readonly likeness: Likeness;
  /** R, N x D, row-major. */
  readonly residual: Float32Array;
  readonly width: number;
  /** Rows whose residual was learned. */
  readonly rows: Iterable<number>;
}

export interface ColdFill {
  /**
   * R of an item with these features, D numbers; null where nothing is like it (it has no features, or none that a
   * learned item has).
   */
  residualOf(feature: Float32Array): Float32Array | null;
}

/** Keeps the arrays of `learned`, and makes an index of them, in which others are answered (`npm run bench:embed` measures it). */
export async function createColdFill(
  learned: LearnedItems,
  { neighbours, ...how }: ColdItems,
): Promise<ColdFill> {
  if (how.strength === 0) return { residualOf: () => null };
  const index = await indexLikeItems(learned);
  return {
    residualOf: (feature) => residualFrom(learned, index.find(feature, neighbours), how),
  };
}

/** R from these neighbours; null where there are none. */
export function residualFrom(
  { residual, width }: Pick<LearnedItems, 'residual' | 'width'>,
  { rows, likeness }: LikeItems,
  { strength, temperature, threshold }: Omit<ColdItems, 'neighbours'>,
): Float32Array | null {
  if (rows.length === 0) return null;
  // Less the largest, so that nothing overflows.
  const top = Math.max(likeness[0]!, threshold);
  const weightOf = (value: number) => Math.exp((value - top) / temperature);
  const weights = likeness.map(weightOf);
  const total = weights.reduce((sum, weight) => sum + weight, weightOf(threshold));
  const fill = new Float32Array(width);
  rows.forEach((row, nth) => {
    const share = (strength * weights[nth]!) / total;
    for (let d = 0; d < width; d++) fill[d]! += share * residual[row * width + d]!;
  });
  return fill;
}
