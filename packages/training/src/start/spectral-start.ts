/**
 * Item vectors to start training with: the leading eigenvectors of what histories and features say about which
 * items are alike (model.md section 6a). Coordinates stand by descending eigenvalue, so that every prefix is the
 * best start of its size.
 *
 * The projector is the ridge regression of these vectors on the features, and the item residual what it leaves.
 */
import type { Histories } from '@nestrec/dataset';
import { TrainingDiverged } from '@nestrec/errors';
import type { PairCounts } from '@nestrec/evaluation';
import type { Random } from '@nestrec/random';
import { multiply, multiplyTransposed } from '@nestrec/tensor';
import { positivePmi } from './positive-pmi.js';
import { splitByFeatures, type SplitVectors } from './split-by-features.js';
import { leadingPairs, type SymmetricOperator } from './subspace-iteration.js';

export interface SpectralStartInput {
  readonly histories: Histories;
  readonly numItems: number;
  /** D, coordinates of an item vector. */
  readonly width: number;
  /** N x F, as the projector is to see them. */
  readonly features: Float32Array;
  readonly featureWidth: number;
  /** Weight of likeness by features beside likeness by histories, each with a leading eigenvalue of 1. */
  readonly featureWeight: number;
  /** Standard deviation of coordinates that no likeness is left for. */
  readonly deviation: number;
  readonly random: Random;
}

const ITERATIONS = 8;
/** Root mean square of an item's coordinates. */
const RMS = 0.1;
/** Directions with less of the largest eigenvalue than this say nothing. */
const SMALLEST = 1e-5;

/** @throws TrainingDiverged where a feature is no finite number: no likeness follows from it */
export function spectralStart(input: SpectralStartInput): SplitVectors {
  const { histories, numItems, width, features, featureWidth } = input;
  requireFinite(input);
  const vectors = spectralVectors(input);
  const frequency = new Float64Array(numItems);
  for (const history of histories) for (const item of history) frequency[item - 1]!++;
  return splitByFeatures({ vectors, width, features, featureWidth, frequency });
}

/** N x D. */
function spectralVectors(input: SpectralStartInput): Float32Array {
  const { histories, numItems, width, random } = input;
  const pmi = positivePmi(histories, numItems);
  const count = Math.min(numItems, width);
  const { values, vectors } = leadingPairs(
    likeness(pmi, input),
    count,
    ITERATIONS,
    random.fork('basis'),
  );
  const used = values.findIndex((value) => value <= SMALLEST * values[0]!);
  const items = new Float32Array(numItems * width);
  const directions = used === -1 ? count : used;
  const roots = values.map(Math.sqrt);
  const noise = random.fork('noise');
  for (let i = 0; i < numItems; i++) {
    const item = items.subarray(i * width, (i + 1) * width);
    for (let k = 0; k < directions; k++) item[k] = vectors[i * count + k]! * roots[k]!;
    lengthen(item, RMS * Math.sqrt(directions));
    // Coordinates of zeros would never learn anything.
    for (let k = directions; k < width; k++) item[k] = input.deviation * noise.normal();
  }
  return items;
}

/**
 * All items begin equally long: an eigenvector stands high where few items are seen with nothing but each other, and
 * a long vector is in every list. A row of zeros stays.
 */
function lengthen(row: Float32Array, length: number): void {
  let squares = 0;
  for (const value of row) squares += value * value;
  if (squares === 0) return;
  const factor = length / Math.sqrt(squares);
  for (let k = 0; k < row.length; k++) row[k]! *= factor;
}

function requireFinite({ features, featureWidth }: SpectralStartInput): void {
  const at = features.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return;
  throw new TrainingDiverged({
    detail:
      `the features of item ${Math.floor(at / featureWidth) + 1} (the ids count from 1) hold ${features[at]} once ` +
      'prepared for training: check the item features for numbers that are not finite or are extreme',
  });
}

/** PPMI / its largest eigenvalue + w X X^T / its largest eigenvalue. */
function likeness(pmi: PairCounts, input: SpectralStartInput): SymmetricOperator {
  const { numItems, features, featureWidth, featureWeight, random } = input;
  const byHistories: SymmetricOperator = {
    size: numItems,
    apply: (block, columns) => multiplySparse(pmi, block, columns, numItems),
  };
  const largest = leadingPairs(byHistories, 1, ITERATIONS, random.fork('pmi')).values[0]!;
  const ownShare = largest > 0 ? 1 / largest : 0;
  if (featureWidth === 0 || featureWeight === 0) {
    return { size: numItems, apply: (b, c) => scaled(byHistories.apply(b, c), ownShare) };
  }
  const byFeatures = (block: Float32Array, columns: number) => {
    const sums = multiplyTransposed(features, block, [numItems, featureWidth, columns]);
    return multiply(features, sums, [numItems, featureWidth, columns]);
  };
  const most = leadingPairs({ size: numItems, apply: byFeatures }, 1, ITERATIONS, random.fork('x'))
    .values[0]!;
  const featureShare = most > 0 ? featureWeight / most : 0;
  return {
    size: numItems,
    apply(block, columns) {
      const sum = byHistories.apply(block, columns);
      const other = byFeatures(block, columns);
      for (let at = 0; at < sum.length; at++)
        sum[at] = ownShare * sum[at]! + featureShare * other[at]!;
      return sum;
    },
  };
}

function scaled(values: Float32Array, factor: number): Float32Array {
  for (let at = 0; at < values.length; at++) values[at]! *= factor;
  return values;
}

function multiplySparse(
  { offsets, columns: others, weights }: PairCounts,
  block: Float32Array,
  columns: number,
  size: number,
): Float32Array {
  const out = new Float32Array(size * columns);
  for (let i = 1; i <= size; i++) {
    const to = (i - 1) * columns;
    for (let at = offsets[i]!; at < offsets[i + 1]!; at++) {
      const weight = weights[at]!;
      if (weight === 0) continue;
      const from = (others[at]! - 1) * columns;
      for (let c = 0; c < columns; c++) out[to + c]! += weight * block[from + c]!;
    }
  }
  return out;
}
