import { DimensionNotAllowed, InvalidRequest, isError } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { resolveDim } from './dimensions.js';

const SIZES = [8, 16, 32, 64];
const errorOf = (act: () => unknown): unknown => {
  try {
    act();
  } catch (error) {
    return error;
  }
  return null;
};

describe('resolveDim', () => {
  it('serves the greatest size that the tier allows when none is asked for', () => {
    expect(resolveDim(SIZES, {})).toBe(64);
    expect(resolveDim(SIZES, { maxDim: null })).toBe(64);
    expect(resolveDim(SIZES, { maxDim: 16 })).toBe(16);
    expect(resolveDim(SIZES, { maxDim: 40 })).toBe(32);
  });

  it('serves less than the tier allows on request, and never more', () => {
    expect(resolveDim(SIZES, { dim: 8, maxDim: 16 })).toBe(8);
    const error = errorOf(() => resolveDim(SIZES, { dim: 32, maxDim: 16 }));
    expect(isError(error, DimensionNotAllowed)).toBe(true);
  });

  it('names the sizes of the model when another width is asked for', () => {
    const error = errorOf(() => resolveDim(SIZES, { dim: 20, maxDim: 32 }));
    expect(isError(error, InvalidRequest)).toBe(true);
    expect((error as Error).message).toContain('one of 8, 16, 32');
  });

  it('refuses a tier that allows less than the smallest size, rather than serve nothing', () => {
    expect(
      isError(
        errorOf(() => resolveDim(SIZES, { maxDim: 4 })),
        DimensionNotAllowed,
      ),
    ).toBe(true);
  });
});
