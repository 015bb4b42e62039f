/**
 * Leading eigenvectors of a large symmetric matrix that is only known by what it does to vectors: randomised
 * subspace iteration with a Rayleigh-Ritz step (Halko, Martinsson & Tropp, SIAM Review 2011, section 4.5).
 */
import { InternalError } from '@nestrec/errors';
import type { Random } from '@nestrec/random';
import { multiply, multiplyTransposed } from '@nestrec/tensor';
import { leadingEigenvectors } from '../leading-eigenvectors.js';

export interface SymmetricOperator {
  /** Rows and columns of the matrix. */
  readonly size: number;
  /** The matrix times `block`, size x columns, row-major. */
  apply(block: Float32Array, columns: number): Float32Array;
}

export interface LeadingPairs {
  /** By descending value; negative ones last. */
  readonly values: Float64Array;
  /** size x count, row-major: column k belongs to value k. */
  readonly vectors: Float32Array;
}

/** Directions beyond those asked for, which make the last of these good. */
const OVERSAMPLE = 16;

/** @param count eigenpairs, at most `size` */
export function leadingPairs(
  operator: SymmetricOperator,
  count: number,
  iterations: number,
  random: Random,
): LeadingPairs {
  const { size } = operator;
  const columns = Math.min(size, count + OVERSAMPLE);
  let basis: Float32Array = new Float32Array(size * columns);
  for (let i = 0; i < basis.length; i++) basis[i] = random.normal();
  basis = orthonormal(orthonormal(basis, size, columns), size, columns);
  for (let t = 0; t < iterations; t++) {
    // Step by step: what is no longer needed need not be in memory beside what is made.
    basis = operator.apply(basis, columns);
    basis = orthonormal(basis, size, columns);
    // Once more: products in float32 leave a first factor's columns only nearly at right angles.
    basis = orthonormal(basis, size, columns);
  }
  const image = operator.apply(basis, columns);
  const small = multiplyTransposed(basis, image, [size, columns, columns]);
  const at = (i: number, j: number) => (small[i * columns + j]! + small[j * columns + i]!) / 2;
  const { values, vectors } = leadingEigenvectors(at, columns, count);
  // [columns, count]: as they multiply the basis from the right.
  const rotation = new Float32Array(columns * count);
  for (let k = 0; k < count; k++)
    for (let i = 0; i < columns; i++) rotation[i * count + k] = vectors[k * columns + i]!;
  const leading = multiply(basis, rotation, [size, columns, count]);
  pointForward(leading, count);
  return { values, vectors: leading };
}

/** Gives every column the sign that makes its largest number positive: the same on machines that round otherwise. */
function pointForward(vectors: Float32Array, count: number): void {
  const largest = new Float64Array(count);
  vectors.forEach((value, at) => {
    if (Math.abs(value) > Math.abs(largest[at % count]!)) largest[at % count] = value;
  });
  vectors.forEach((value, at) => {
    if (largest[at % count]! < 0) vectors[at] = -value;
  });
}

/** Columns that span the same space at right angles and of length 1: by the Cholesky factor of their products. */
function orthonormal(
  block: Float32Array,
  size: number,
  columns: number,
): Float32Array<ArrayBuffer> {
  const gram = Float64Array.from(multiplyTransposed(block, block, [size, columns, columns]));
  const inverse = inverseUpperFactor(gram, columns);
  return multiply(block, inverse, [size, columns, columns]);
}

/** U^-1 for gram = U^T U; a direction that the others span already becomes 0. */
function inverseUpperFactor(gram: Float64Array, n: number): Float32Array {
  const lower = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = gram[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= lower[i * n + k]! * lower[j * n + k]!;
      if (i !== j) lower[i * n + j] = lower[j * n + j]! > 0 ? sum / lower[j * n + j]! : 0;
      else lower[i * n + i] = sum > 1e-10 * gram[i * n + i]! ? Math.sqrt(sum) : 0;
    }
  const inverse = new Float32Array(n * n);
  const column = new Float64Array(n);
  for (let j = 0; j < n; j++) {
    // Column j of L^-1, which is row j of its transpose.
    column.fill(0);
    for (let i = j; i < n; i++) {
      const pivot = lower[i * n + i]!;
      if (pivot === 0) continue;
      let sum = i === j ? 1 : 0;
      for (let k = j; k < i; k++) sum -= lower[i * n + k]! * column[k]!;
      column[i] = sum / pivot;
      inverse[j * n + i] = column[i]!;
    }
  }
  if (!inverse.every(Number.isFinite)) {
    throw new InternalError({ detail: 'subspace iteration left the range of float32' });
  }
  return inverse;
}
