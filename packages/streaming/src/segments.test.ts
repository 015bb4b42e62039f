import fc from 'fast-check';
import { createRandom } from '@nestrec/random';
import { describe, expect, it } from 'vitest';
import { multiply, nestedWeights, normalise } from './segments.js';

const cases = fc.record({
  seed: fc.integer({ min: 1, max: 1e9 }),
  sizes: fc.constantFrom([4, 8, 16], [8], [3, 5, 12], [1, 2, 7]),
  rows: fc.integer({ min: 1, max: 9 }),
});

describe('many rows at once', () => {
  it('give in doubles the bits of each row alone, on every number of segments', () => {
    fc.assert(
      fc.property(cases, ({ seed, sizes, rows }) => {
        const random = createRandom(seed);
        const dim = sizes.at(-1)!;
        const matrix = {
          weights: Float32Array.from({ length: nestedWeights(sizes) }, () => random.normal()),
          bias: Float64Array.from({ length: dim }, () => random.normal()),
        };
        const x = Float64Array.from({ length: rows * dim }, () => random.normal());
        for (let upTo = 1; upTo <= sizes.length; upTo++) {
          const together = {
            product: new Float64Array(x.length),
            norm: new Float64Array(x.length),
          };
          multiply(matrix, sizes, upTo, x, together.product, rows);
          normalise(sizes, upTo, x, together.norm, rows);
          for (let from = 0; from < x.length; from += dim) {
            const row = x.slice(from, from + dim);
            const alone = { product: new Float64Array(dim), norm: new Float64Array(dim) };
            multiply(matrix, sizes, upTo, row, alone.product);
            normalise(sizes, upTo, row, alone.norm);
            expect(together.product.slice(from, from + dim)).toEqual(alone.product);
            expect(together.norm.slice(from, from + dim)).toEqual(alone.norm);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
