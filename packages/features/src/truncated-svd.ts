/**
 * Leading right singular vectors of a sparse matrix, by randomised subspace iteration
 * (Halko, Martinsson, Tropp 2011, algorithm 4.4): project on random directions, sharpen by products
 * with A^T A, then solve a small dense eigenproblem.
 */
import type { Random } from '@nestrec/random';
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { multiply, multiplyTransposed, type SparseMatrix } from './sparse-matrix.js';

const OVERSAMPLING = 16;
const POWER_STEPS = 2;
/** A direction whose pivot falls below this share of the largest is linearly dependent. */
const DEPENDENT = 1e-9;

export interface RightSingularVectors {
  /** [columns, width], row-major; columns beyond the rank are zero. */
  readonly vectors: Float32Array;
  /** Singular values, descending, 0 beyond the rank. */
  readonly values: Float32Array;
}

/** The `width` leading right singular vectors of `a`. Deterministic for a given random stream. */
export function truncatedSvd(a: SparseMatrix, width: number, random: Random): RightSingularVectors {
  const sketch = Math.min(width + OVERSAMPLING, a.rows, a.columns);
  const start = new Float32Array(a.columns * sketch);
  for (let i = 0; i < start.length; i++) start[i] = random.normal();
  let range = orthonormalise(multiply(a, start, sketch), a.rows, sketch);
  for (let step = 0; step < POWER_STEPS; step++) {
    const sharpened = multiply(a, multiplyTransposed(a, range, sketch), sketch);
    range = orthonormalise(sharpened, a.rows, sketch);
  }
  return rotate(multiplyTransposed(a, range, sketch), a.columns, sketch, width);
}

/** From B = A^T Q: eigenvectors W of B^T B turn B into singular vectors, B W / sigma. */
function rotate(
  b: Float32Array,
  rows: number,
  sketch: number,
  width: number,
): RightSingularVectors {
  const eigen = new EigenvalueDecomposition(gram(b, rows, sketch), { assumeSymmetric: true });
  const order = eigen.realEigenvalues.map((value, column) => ({ value, column }));
  order.sort((x, y) => y.value - x.value);
  const vectors = new Float32Array(rows * width);
  const values = new Float32Array(width);
  const largest = Math.max(order[0]?.value ?? 0, 0);
  const rotation = new Float64Array(sketch * width);
  for (let k = 0; k < Math.min(width, sketch); k++) {
    const { value, column } = order[k]!;
    if (value <= DEPENDENT * largest || value <= 0) break;
    values[k] = Math.sqrt(value);
    for (let j = 0; j < sketch; j++) {
      rotation[j * width + k] = eigen.eigenvectorMatrix.get(j, column) / Math.sqrt(value);
    }
  }
  const row = new Float64Array(width);
  for (let i = 0; i < rows; i++) {
    row.fill(0);
    for (let j = 0; j < sketch; j++) {
      const scale = b[i * sketch + j]!;
      if (scale === 0) continue;
      for (let k = 0; k < width; k++) row[k]! += scale * rotation[j * width + k]!;
    }
    vectors.set(row, i * width);
  }
  return { vectors, values };
}

/** X^T X in double precision, X [rows, width]. Four rows at a time: the sums pass memory less often. */
function gram(x: Float32Array, rows: number, width: number): Matrix {
  const sums = new Float64Array(width * width);
  const quads = rows & ~3;
  for (let r = 0; r < quads; r += 4) {
    const [p, q, s, t] = [r * width, (r + 1) * width, (r + 2) * width, (r + 3) * width];
    for (let i = 0; i < width; i++) {
      const [a, b, c, d] = [x[p + i]!, x[q + i]!, x[s + i]!, x[t + i]!];
      const out = i * width;
      for (let j = i; j < width; j++) {
        sums[out + j]! += a * x[p + j]! + b * x[q + j]! + c * x[s + j]! + d * x[t + j]!;
      }
    }
  }
  for (let at = quads * width; at < rows * width; at += width) {
    for (let i = 0; i < width; i++) {
      for (let j = i; j < width; j++) sums[i * width + j]! += x[at + i]! * x[at + j]!;
    }
  }
  const matrix = Matrix.zeros(width, width);
  for (let i = 0; i < width; i++) {
    for (let j = i; j < width; j++) {
      matrix.set(i, j, sums[i * width + j]!);
      matrix.set(j, i, sums[i * width + j]!);
    }
  }
  return matrix;
}

/**
 * Orthonormal columns spanning those of X, in place, by Cholesky: X L^-T with X^T X = L L^T. Dependent
 * columns become zero. Between two orthonormal steps X is well conditioned, so one pass is enough.
 */
function orthonormalise(x: Float32Array, rows: number, width: number): Float32Array {
  const lower = cholesky(gram(x, rows, width), width);
  for (let r = 0; r < rows; r++) {
    const at = r * width;
    for (let i = 0; i < width; i++) {
      let value = x[at + i]!;
      for (let j = 0; j < i; j++) value -= lower[i * width + j]! * x[at + j]!;
      const pivot = lower[i * width + i]!;
      x[at + i] = pivot === 0 ? 0 : value / pivot;
    }
  }
  return x;
}

/** Lower factor of a positive semi-definite matrix; rows of dependent directions are zero. */
function cholesky(matrix: Matrix, width: number): Float64Array {
  const lower = new Float64Array(width * width);
  let largest = 0;
  for (let i = 0; i < width; i++) largest = Math.max(largest, matrix.get(i, i));
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) {
      let value = matrix.get(i, j);
      for (let k = 0; k < j; k++) value -= lower[i * width + k]! * lower[j * width + k]!;
      if (i === j) {
        lower[i * width + i] = value > DEPENDENT * largest ? Math.sqrt(value) : 0;
      } else {
        const pivot = lower[j * width + j]!;
        lower[i * width + j] = pivot === 0 ? 0 : value / pivot;
      }
    }
  }
  return lower;
}
