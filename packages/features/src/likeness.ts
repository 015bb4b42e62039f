/**
 * How alike two items are by what their features say: the mean over the modalities that both have of the cosine under
 * that modality's metric A, x^T A y / (|x|_A |y|_A). A is the inverse of the modality's second moment, so that a
 * direction in which all items lie counts no more than one that tells a few apart.
 *
 * Lengths of the items of a model are part of what it knows: to compute one takes F^2 products.
 */
import type { FeatureSpec } from '@nestrec/contracts';
import { featureWidth } from './feature-spec.js';

/** What is needed to compare items with those of a model. */
export interface Likeness {
  /** F x F, row-major, symmetric; zero but within modalities. */
  readonly metric: Float32Array;
  /** N x modalities: 1 / |x|_A of each; 0 where the item lacks the modality. */
  readonly scales: Float32Array;
}

/** Where a modality stands in f. */
export interface FeatureBlock {
  readonly from: number;
  readonly width: number;
}

export function featureBlocks({ modalities }: FeatureSpec): FeatureBlock[] {
  let at = 0;
  return modalities.map(({ width }) => ({ from: (at += width) - width, width }));
}

/** An item as others are compared with it: A x / |x|_A by modality, whose product with y / |y|_A is the cosine. */
export interface LikenessQuery {
  /** F; zero where the item lacks the modality. */
  readonly direction: Float32Array;
  /** Bit m: it has modality m. */
  readonly has: number;
}

export function likenessQuery(
  feature: Float32Array,
  spec: FeatureSpec,
  { metric }: Likeness,
): LikenessQuery {
  const rowWidth = featureWidth(spec);
  const direction = new Float32Array(rowWidth);
  let has = 0;
  featureBlocks(spec).forEach(({ from, width }, m) => {
    let squares = 0;
    for (let i = from; i < from + width; i++) {
      let sum = 0;
      for (let j = from; j < from + width; j++) sum += metric[i * rowWidth + j]! * feature[j]!;
      direction[i] = sum;
      squares += sum * feature[i]!;
    }
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    if (scale > 0) has |= 1 << m;
    for (let i = from; i < from + width; i++) direction[i]! *= scale;
  });
  return { direction, has };
}

/** Bit m: row `row` of the model's items has modality m, of `modalities` in all. */
export function modalitiesOf({ scales }: Likeness, modalities: number, row: number): number {
  let has = 0;
  for (let m = 0; m < modalities; m++) if (scales[row * modalities + m]! > 0) has |= 1 << m;
  return has;
}
