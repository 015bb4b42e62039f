/**
 * Linear whitening of item features: training sees f' = W f with an isotropic second moment, which a
 * per-coordinate optimiser such as AdamW follows much faster; afterwards P' is folded into P = P' W, so
 * that the artifact and new items use the raw features and know nothing of this.
 *
 * W has F rows, or fewer: then only the directions that hold most of the second moment are kept, and the
 * training model's projector is as much narrower.
 *
 * There is no centring: the zero row of the padding item must stay zero. The mean is simply one more
 * direction that is scaled down.
 */
import { leadingEigenvectors } from './leading-eigenvectors.js';

export interface Whitening {
  /** Feature width F. */
  readonly width: number;
  /** Rows of W: the width of whitened features. */
  readonly components: number;
  /** W, components x F row-major; columns of features that are always 0 are 0. */
  readonly matrix: Float32Array;
  /** Share of the second moment's trace that the kept directions hold. */
  readonly explained: number;
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
 * Fits W = s (C + ridge)^(-1/2) to features N x F, up to a rotation, scaled so that a row keeps a norm near
 * 1 whatever F is.
 *
 * @param components 0 = keep every direction; otherwise that many leading ones, 1 to F.
 */
export function fitWhitening(features: Float32Array, width: number, components: number): Whitening {
  const moment = secondMoment(features, width);
  const live: number[] = [];
  let trace = 0;
  for (let i = 0; i < width; i++) {
    if (moment[i * width + i]! > 0) live.push(i);
    trace += moment[i * width + i]!;
  }
  const ridge = (RIDGE * trace) / Math.max(1, live.length);
  return components === 0
    ? wholeWhitening(moment, width, live, ridge)
    : cutWhitening(moment, width, components, live, ridge);
}

/** By Cholesky: cheaper than the eigenproblem, and the same up to a rotation, which learning does not see. */
function wholeWhitening(
  moment: Float64Array,
  width: number,
  live: readonly number[],
  ridge: number,
): Whitening {
  for (const i of live) moment[i * width + i]! += ridge;
  cholesky(moment, width);
  const inverse = invertLower(moment, width);
  const scale = 1 / Math.sqrt(Math.max(1, live.length));
  const matrix = Float32Array.from(inverse, (v) => v * scale);
  return { width, components: width, matrix, explained: 1 };
}

/** Row k = s (lambda_k + ridge)^(-1/2) times eigenvector k; rows beyond the features that live are 0. */
function cutWhitening(
  moment: Float64Array,
  width: number,
  components: number,
  live: readonly number[],
  ridge: number,
): Whitening {
  const kept = Math.min(components, live.length);
  // Features that are always 0 stay out, so that no direction can lean on them.
  const { values, vectors, trace } = leadingEigenvectors(
    (i, j) => moment[Math.max(live[i]!, live[j]!) * width + Math.min(live[i]!, live[j]!)]!,
    live.length,
    kept,
  );
  const matrix = new Float32Array(components * width);
  let held = 0;
  for (let k = 0; k < kept; k++) {
    const scale = 1 / Math.sqrt(kept * (values[k]! + ridge));
    for (let i = 0; i < live.length; i++) {
      matrix[k * width + live[i]!] = scale * vectors[k * live.length + i]!;
    }
    held += values[k]!;
  }
  return { width, components, matrix, explained: trace > 0 ? Math.min(1, held / trace) : 1 };
}

/**
 * W without loss, for a projector that is there already: every direction is kept, also those that no feature
 * has now, so that what the projector knows of them survives. W is lower triangular; F rows.
 */
export function fitInvertibleWhitening(features: Float32Array, width: number): Whitening {
  const moment = secondMoment(features, width);
  let trace = 0;
  for (let i = 0; i < width; i++) trace += moment[i * width + i]!;
  const all = Array.from({ length: width }, (_, i) => i);
  // Features that are all zero: any ridge will do.
  return wholeWhitening(moment, width, all, trace > 0 ? (RIDGE * trace) / width : 1);
}

/** P' with P' W = P, for a lower triangular W (`fitInvertibleWhitening`): the inverse of `foldProjector`. */
export function unfoldProjector(projector: Float32Array, whitening: Whitening): Float32Array {
  const { width, matrix } = whitening;
  const out = new Float32Array(projector.length);
  const row = new Float64Array(width);
  for (let at = 0; at < projector.length; at += width) {
    for (let j = width - 1; j >= 0; j--) {
      let sum = projector[at + j]!;
      for (let i = j + 1; i < width; i++) sum -= row[i]! * matrix[i * width + j]!;
      row[j] = sum / matrix[j * width + j]!;
    }
    out.set(row, at);
  }
  return out;
}

/** f' = W f for every row of N x F. Zeros of W are multiplied too: what is not finite must stay in sight. */
export function whiten(features: Float32Array, whitening: Whitening): Float32Array {
  const { width, components, matrix } = whitening;
  const rows = features.length / width;
  const out = new Float32Array(rows * components);
  for (let r = 0; r < rows; r++) {
    const row = features.subarray(r * width, (r + 1) * width);
    for (let i = 0; i < components; i++) {
      let sum = 0;
      for (let j = 0; j < width; j++) sum += matrix[i * width + j]! * row[j]!;
      out[r * components + i] = sum;
    }
  }
  return out;
}

/** P = P' W, D x F, for a projector P' (D x components, row-major) trained on whitened features. */
export function foldProjector(projector: Float32Array, whitening: Whitening): Float32Array {
  const { width, components, matrix } = whitening;
  const dims = projector.length / components;
  const out = new Float32Array(dims * width);
  const sums = new Float64Array(width);
  for (let d = 0; d < dims; d++) {
    sums.fill(0);
    for (let i = 0; i < components; i++) {
      const weight = projector[d * components + i]!;
      for (let j = 0; j < width; j++) sums[j]! += weight * matrix[i * width + j]!;
    }
    out.set(sums, d * width);
  }
  return out;
}
