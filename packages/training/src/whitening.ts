/**
 * Linear whitening of item features: training sees f' = W f with an isotropic second moment, which a
 * per-coordinate optimiser such as AdamW follows much faster; afterwards P' is folded into P = P' W, so
 * that the artifact and new items use the raw features and know nothing of this.
 *
 * There is no centring: the zero row of the padding item must stay zero. The mean is simply one more
 * direction that is scaled down.
 */

export interface Whitening {
  /** Feature width F. */
  readonly width: number;
  /** W, F x F row-major, lower triangular; rows and columns of features that are always 0 are 0. */
  readonly matrix: Float32Array;
}

/** Ridge on the second moment, as a share of its mean diagonal: caps how far rare directions grow. */
const RIDGE = 0.02;

/** Rows that the second moment is taken from, evenly spaced: more would not change it. */
const MOMENT_ROWS = 20_000;

/** Second moment of the rows, F x F in float64. */
function secondMoment(features: Float32Array, width: number): Float64Array {
  const moment = new Float64Array(width * width);
  const stride = Math.max(1, Math.floor(features.length / width / MOMENT_ROWS));
  const rows = Math.ceil(features.length / width / stride);
  for (let r = 0; r < rows * stride; r += stride) {
    const row = features.subarray(r * width, (r + 1) * width);
    for (let i = 0; i < width; i++) {
      const value = row[i]!;
      if (value === 0) continue;
      const at = i * width;
      for (let j = 0; j <= i; j++) moment[at + j]! += value * row[j]!;
    }
  }
  for (let i = 0; i < moment.length; i++) moment[i]! /= Math.max(1, rows);
  return moment;
}

/** In-place lower Cholesky factor of the lower triangle; zero pivots leave a zero row and column. */
function cholesky(matrix: Float64Array, width: number): void {
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * width + j]!;
      for (let k = 0; k < j; k++) sum -= matrix[i * width + k]! * matrix[j * width + k]!;
      const pivot = matrix[j * width + j]!;
      if (i === j) matrix[i * width + i] = sum > 0 ? Math.sqrt(sum) : 0;
      else matrix[i * width + j] = pivot > 0 ? sum / pivot : 0;
    }
  }
}

/** Inverse of a lower triangular matrix, skipping zero pivots. */
function invertLower(lower: Float64Array, width: number): Float64Array {
  const inverse = new Float64Array(width * width);
  for (let column = 0; column < width; column++) {
    const pivot = lower[column * width + column]!;
    if (pivot === 0) continue;
    inverse[column * width + column] = 1 / pivot;
    for (let i = column + 1; i < width; i++) {
      const diagonal = lower[i * width + i]!;
      if (diagonal === 0) continue;
      let sum = 0;
      for (let k = column; k < i; k++) {
        sum += lower[i * width + k]! * inverse[k * width + column]!;
      }
      inverse[i * width + column] = -sum / diagonal;
    }
  }
  return inverse;
}

/**
 * Fits W = s C^(-1/2) (by Cholesky) to features N x F, scaled by s = 1 / sqrt(F) so that a row keeps a
 * norm near 1 whatever F is.
 */
export function fitWhitening(features: Float32Array, width: number): Whitening {
  const moment = secondMoment(features, width);
  let live = 0;
  let trace = 0;
  for (let i = 0; i < width; i++) {
    if (moment[i * width + i]! > 0) live++;
    trace += moment[i * width + i]!;
  }
  const ridge = (RIDGE * trace) / Math.max(1, live);
  for (let i = 0; i < width; i++) if (moment[i * width + i]! > 0) moment[i * width + i]! += ridge;
  cholesky(moment, width);
  const inverse = invertLower(moment, width);
  const scale = 1 / Math.sqrt(Math.max(1, live));
  return { width, matrix: Float32Array.from(inverse, (v) => v * scale) };
}

/** f' = W f for every row of N x F. */
export function whiten(features: Float32Array, whitening: Whitening): Float32Array {
  const { width, matrix } = whitening;
  const out = new Float32Array(features.length);
  for (let r = 0; r < features.length; r += width) {
    for (let i = 0; i < width; i++) {
      let sum = 0;
      for (let j = 0; j <= i; j++) sum += matrix[i * width + j]! * features[r + j]!;
      out[r + i] = sum;
    }
  }
  return out;
}

/** P = P' W for a projector P' (D x F, row-major) trained on whitened features. */
export function foldProjector(projector: Float32Array, whitening: Whitening): Float32Array {
  const { width, matrix } = whitening;
  const out = new Float32Array(projector.length);
  const sums = new Float64Array(width);
  for (let d = 0; d < projector.length; d += width) {
    sums.fill(0);
    for (let i = 0; i < width; i++) {
      const weight = projector[d + i]!;
      for (let j = 0; j <= i; j++) sums[j]! += weight * matrix[i * width + j]!;
    }
    out.set(sums, d);
  }
  return out;
}
