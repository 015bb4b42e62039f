import { createRandom } from '@nestrec/random';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import { selectBackend } from './backend.js';
import { multiply, multiplyTransposed } from './products.js';

const numbers = (count: number, seed: number) => {
  const random = createRandom(seed);
  return Float32Array.from({ length: count }, () => random.normal());
};

describe.each(suiteBackends)('products of plain matrices on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it('are those of double precision', () => {
    const [rows, inner, columns] = [37, 11, 5];
    const [a, b, c] = [numbers(rows * inner, 1), numbers(inner * columns, 2), numbers(rows * 5, 3)];
    const product = multiply(a, b, [rows, inner, columns]);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let k = 0; k < inner; k++) sum += a[i * inner + k]! * b[k * columns + j]!;
        expect(product[i * columns + j]).toBeCloseTo(sum, 4);
      }
    const sums = multiplyTransposed(a, c, [rows, inner, 5]);
    for (let i = 0; i < inner; i++)
      for (let j = 0; j < 5; j++) {
        let sum = 0;
        for (let k = 0; k < rows; k++) sum += a[k * inner + i]! * c[k * 5 + j]!;
        expect(sums[i * 5 + j]).toBeCloseTo(sum, 4);
      }
  });

  it('go on from one panel of rows to the next', () => {
    // More numbers than one panel holds: rows x (2 + 3) > 2^24.
    const rows = 3_400_000;
    const ones = new Float32Array(rows * 2).fill(1);
    ones[rows * 2 - 1] = 5;
    const out = multiply(ones, Float32Array.of(1, 2, 3, 4, 5, 6), [rows, 2, 3]);
    expect([...out.subarray(0, 3), ...out.subarray(-3)]).toEqual([5, 7, 9, 21, 27, 33]);
    const head = ones.subarray(0, rows);
    // Ones are counted exactly up to 2^24.
    expect(multiplyTransposed(head, head, [rows / 2, 2, 2])[0]).toBe(rows / 2);
    // The last row has 33 in place of 9.
    expect(multiplyTransposed(head, out.subarray(0, rows * 3), [rows, 1, 3])[2]).toBe(
      9 * rows + 24,
    );
  });
});
