import { describe, expect, it } from 'vitest';
import { createRandom } from '@nestrec/random';
import { leadingEigenvectors } from './leading-eigenvectors.js';

describe('leadingEigenvectors', () => {
  it.each([1, 2, 7, 60])('solves A v = lambda v, orthonormal and largest first, at n = %i', (n) => {
    const random = createRandom(n);
    const rows = Array.from({ length: n + 2 }, () =>
      Float64Array.from({ length: n }, (_, j) => random.normal() / (j + 1)),
    );
    const at = (i: number, j: number) => rows.reduce((sum, row) => sum + row[i]! * row[j]!, 0);
    const count = Math.ceil(n / 2);
    const { values, vectors, trace } = leadingEigenvectors(at, n, count);
    for (let k = 0; k < count; k++) {
      if (k > 0) expect(values[k]).toBeLessThanOrEqual(values[k - 1]!);
      for (let i = 0; i < n; i++) {
        let product = 0;
        for (let j = 0; j < n; j++) product += at(i, j) * vectors[k * n + j]!;
        expect(Math.abs(product - values[k]! * vectors[k * n + i]!)).toBeLessThan(1e-10 * trace);
      }
      for (let other = 0; other <= k; other++) {
        let inner = 0;
        for (let i = 0; i < n; i++) inner += vectors[k * n + i]! * vectors[other * n + i]!;
        expect(inner).toBeCloseTo(other === k ? 1 : 0, 10);
      }
    }
    const all = leadingEigenvectors(at, n, n).values.reduce((sum, value) => sum + value, 0);
    expect(all).toBeCloseTo(trace, 8);
  });

  it('finds equal and zero eigenvalues, and nothing in an empty matrix', () => {
    const diagonal = [2, 0, 5, 2];
    const { values, vectors } = leadingEigenvectors((i, j) => (i === j ? diagonal[i]! : 0), 4, 4);
    expect([...values]).toEqual([5, 2, 2, 0]);
    expect([...vectors.subarray(0, 4)].map(Math.abs)).toEqual([0, 0, 1, 0]);
    expect(leadingEigenvectors(() => 0, 0, 0)).toMatchObject({ trace: 0 });
  });
});
