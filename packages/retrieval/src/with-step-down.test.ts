import { describe, expect, it } from 'vitest';
import { EXACT_MAX_ROWS } from './search.js';
import { smallerSize } from './with-step-down.js';

const model = (rows: number, indexed: number[]) => ({
  rows,
  indexedDims: new Set(indexed),
  cell: { sizes: [8, 16, 32, 64] },
});

describe('smallerSize', () => {
  it('goes down by so many sizes, and not below the smallest', () => {
    const small = model(10, []);
    expect([1, 2, 3, 9].map((steps) => smallerSize(small, 64, steps))).toEqual([32, 16, 8, 8]);
    expect(smallerSize(small, 8, 1)).toBe(8);
  });

  it('passes over sizes without an index where the present one has one', () => {
    const large = model(EXACT_MAX_ROWS + 1, [16, 64]);
    expect([1, 2].map((steps) => smallerSize(large, 64, steps))).toEqual([16, 16]);
    expect(smallerSize(large, 16, 1)).toBe(16);
  });
});
