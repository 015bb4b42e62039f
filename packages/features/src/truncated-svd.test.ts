import { createRandom } from '@nestrec/random';
import { describe, expect, it } from 'vitest';
import { multiply, multiplyTransposed, type SparseMatrix } from './sparse-matrix.js';
import { truncatedSvd } from './truncated-svd.js';

function sparse(dense: readonly (readonly number[])[]): SparseMatrix {
  const offsets = [0];
  const indices: number[] = [];
  const values: number[] = [];
  for (const row of dense) {
    row.forEach((value, column) => {
      if (value !== 0) {
        indices.push(column);
        values.push(value);
      }
    });
    offsets.push(indices.length);
  }
  return {
    rows: dense.length,
    columns: dense[0]!.length,
    offsets: Int32Array.from(offsets),
    indices: Int32Array.from(indices),
    values: Float32Array.from(values),
  };
}

describe('sparse products', () => {
  it('equal the dense ones by hand', () => {
    const a = sparse([
      [1, 0, 2],
      [0, 3, 0],
    ]);
    expect([...multiply(a, Float32Array.of(1, 2, 3, 4, 5, 6), 2)]).toEqual([11, 14, 9, 12]);
    expect([...multiplyTransposed(a, Float32Array.of(1, 2), 1)]).toEqual([1, 6, 2]);
  });
});

describe('truncated SVD', () => {
  it('finds the singular values and vectors of a diagonal matrix', () => {
    const a = sparse([
      [0, 5, 0, 0],
      [3, 0, 0, 0],
      [0, 0, 0, -2],
      [0, 0, 1, 0],
    ]);
    const { values, vectors } = truncatedSvd(a, 3, createRandom(1));
    [5, 3, 2].forEach((value, k) => expect(values[k]).toBeCloseTo(value, 5));
    [1, 0, 3].forEach((row, k) => expect(Math.abs(vectors[row * 3 + k]!)).toBeCloseTo(1, 5));
  });

  it('has orthonormal columns that keep as much of a decaying spectrum as the best ones', () => {
    const random = createRandom(2);
    const [rows, columns, width] = [120, 60, 10];
    // Sum of rank-one terms of sizes 1, 1/2, 1/3, ...: the best rank-10 share is known up to mixing.
    const dense = Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
    for (let k = 1; k <= 40; k++) {
      const left = Array.from({ length: rows }, () => random.normal());
      const right = Array.from({ length: columns }, () => random.normal());
      dense.forEach((row, r) => right.forEach((v, c) => (row[c]! += (left[r]! * v) / k / k)));
    }
    const a = sparse(dense);
    const { vectors, values } = truncatedSvd(a, width, createRandom(3));
    for (let i = 0; i < width; i++) {
      for (let j = 0; j <= i; j++) {
        let product = 0;
        for (let c = 0; c < columns; c++)
          product += vectors[c * width + i]! * vectors[c * width + j]!;
        expect(product).toBeCloseTo(i === j ? 1 : 0, 4);
      }
    }
    const projected = multiply(a, vectors, width);
    const exact = truncatedSvd(a, columns, createRandom(4)).values;
    for (let k = 0; k < width; k++) {
      let square = 0;
      for (let r = 0; r < rows; r++) square += projected[r * width + k]! ** 2;
      expect(Math.sqrt(square)).toBeCloseTo(values[k]!, 2);
      expect(Math.abs(values[k]! / exact[k]! - 1)).toBeLessThan(1e-3);
    }
  });

  it('leaves directions beyond the rank at zero', () => {
    const { vectors, values } = truncatedSvd(
      sparse([
        [1, 2],
        [2, 4],
        [3, 6],
      ]),
      2,
      createRandom(1),
    );
    expect(values[0]).toBeCloseTo(Math.sqrt(70), 4);
    expect(values[1]).toBe(0);
    expect([vectors[1], vectors[3]]).toEqual([0, 0]);
  });
});
