/**
 * The leading eigenvectors of a symmetric positive semi-definite matrix, by Householder reduction and QL
 * (ml-matrix). The same bits on every machine: float64 sums, products and square roots only, so that a
 * resumed run finds the directions that it was started with.
 *
 * The whole spectrum is computed, in time n^3: 0.3 s at 384, about 5 s at 1,024.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

export interface LeadingEigenvectors {
  /** Descending, never negative. */
  readonly values: Float64Array;
  /** [count, n], row-major: row k belongs to value k. */
  readonly vectors: Float64Array;
  /** Sum of all eigenvalues, those left out too. */
  readonly trace: number;
}

/** @param at element (i, j), 0 <= i, j < n; must be symmetric. */
export function leadingEigenvectors(
  at: (i: number, j: number) => number,
  n: number,
  count: number,
): LeadingEigenvectors {
  const values = new Float64Array(count);
  const vectors = new Float64Array(count * n);
  if (n === 0) return { values, vectors, trace: 0 };
  const matrix = Matrix.zeros(n, n);
  let trace = 0;
  for (let i = 0; i < n; i++) {
    trace += at(i, i);
    for (let j = 0; j < n; j++) matrix.set(i, j, at(i, j));
  }
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix, {
    assumeSymmetric: true,
  });
  const order = realEigenvalues.map((value, column) => ({ value, column }));
  order.sort((a, b) => b.value - a.value || a.column - b.column);
  for (let k = 0; k < count; k++) {
    const { value, column } = order[k]!;
    values[k] = Math.max(0, value);
    for (let i = 0; i < n; i++) vectors[k * n + i] = eigenvectorMatrix.get(i, column);
  }
  return { values, vectors, trace };
}
