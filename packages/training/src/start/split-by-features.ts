/**
 * Item vectors as what their features say, P f + p, and what is left of them: the ridge regression of the vectors on
 * the features, items weighted by how often they were taken.
 *
 * Goes through the items in panels, so that beside the vectors and the features nothing of their size is held.
 */
import { multiply, multiplyTransposed } from '@nestrec/tensor';
import { CholeskyDecomposition, Matrix } from 'ml-matrix';

export interface SplitVectors {
  /** P, D x F row-major; empty when F = 0. */
  readonly projector: Float32Array;
  /** p, D. */
  readonly bias: Float32Array;
  /** R, N x D: the vectors' own memory. */
  readonly residual: Float32Array;
}

export interface SplitInput {
  /** N x D; becomes the residual. */
  readonly vectors: Float32Array;
  readonly width: number;
  /** N x F. */
  readonly features: Float32Array;
  readonly featureWidth: number;
  /** How often each item was taken, N. */
  readonly frequency: Float64Array;
}

/** On P, beside features weighted by frequency. */
const RIDGE = 100;
const PANEL_ROWS = 2 ** 16;

export function splitByFeatures(input: SplitInput): SplitVectors {
  const { vectors, width, features, featureWidth, frequency } = input;
  const vectorMean = weightedMean(vectors, width, frequency);
  const bias = Float32Array.from(vectorMean);
  if (featureWidth === 0) {
    for (let at = 0; at < vectors.length; at++) vectors[at]! -= bias[at % width]!;
    return { projector: new Float32Array(0), bias, residual: vectors };
  }
  const featureMean = weightedMean(features, featureWidth, frequency);
  const transposed = regress(input, vectorMean, featureMean);
  const projector = new Float32Array(width * featureWidth);
  for (let d = 0; d < width; d++)
    for (let f = 0; f < featureWidth; f++) {
      const value = transposed[f * width + d]!;
      projector[d * featureWidth + f] = value;
      bias[d]! -= value * featureMean[f]!;
    }
  for (const [from, to] of panelsOf(frequency.length)) {
    const part = features.subarray(from * featureWidth, to * featureWidth);
    const said = multiply(part, transposed, [to - from, featureWidth, width]);
    const base = from * width;
    for (let at = 0; at < said.length; at++) vectors[base + at]! -= said[at]! + bias[at % width]!;
  }
  return { projector, bias, residual: vectors };
}

/** The transpose of P, F x D: (X^T C X + ridge)^-1 X^T C V of centred features X and vectors V, C the frequencies. */
function regress(
  { vectors, width, features, featureWidth, frequency }: SplitInput,
  vectorMean: Float64Array,
  featureMean: Float64Array,
): Float32Array {
  const moments = new Float64Array(featureWidth * featureWidth);
  const products = new Float64Array(featureWidth * width);
  for (const [from, to] of panelsOf(frequency.length)) {
    const weights = frequency.subarray(from, to);
    const x = weightedRows(features, featureWidth, from, weights, featureMean);
    const v = weightedRows(vectors, width, from, weights, vectorMean);
    add(moments, multiplyTransposed(x, x, [to - from, featureWidth, featureWidth]));
    add(products, multiplyTransposed(x, v, [to - from, featureWidth, width]));
  }
  const left = Matrix.from1DArray(featureWidth, featureWidth, moments);
  for (let i = 0; i < featureWidth; i++) {
    // Rounded products are symmetric but for their last digits.
    for (let j = 0; j < i; j++) left.set(j, i, left.get(i, j));
    left.set(i, i, left.get(i, i) + RIDGE);
  }
  const right = Matrix.from1DArray(featureWidth, width, products);
  return Float32Array.from(new CholeskyDecomposition(left).solve(right).to1DArray());
}

function weightedMean(rows: Float32Array, columns: number, frequency: Float64Array): Float64Array {
  const total = Math.max(
    1,
    frequency.reduce((a, b) => a + b, 0),
  );
  const mean = new Float64Array(columns);
  frequency.forEach((count, i) => {
    if (count === 0) return;
    for (let c = 0; c < columns; c++) mean[c]! += (count / total) * rows[i * columns + c]!;
  });
  return mean;
}

/** Rows `from ..` less the mean, each times the root of its weight. */
function weightedRows(
  rows: Float32Array,
  columns: number,
  from: number,
  weights: Float64Array,
  mean: Float64Array,
): Float32Array {
  const out = new Float32Array(weights.length * columns);
  weights.forEach((weight, i) => {
    const root = Math.sqrt(weight);
    const base = (from + i) * columns;
    for (let c = 0; c < columns; c++) out[i * columns + c] = root * (rows[base + c]! - mean[c]!);
  });
  return out;
}

function add(sums: Float64Array, values: Float32Array): void {
  for (let at = 0; at < values.length; at++) sums[at]! += values[at]!;
}

function panelsOf(rows: number): (readonly [number, number])[] {
  return Array.from({ length: Math.ceil(rows / PANEL_ROWS) }, (_, i) => [
    i * PANEL_ROWS,
    Math.min(rows, (i + 1) * PANEL_ROWS),
  ]);
}
