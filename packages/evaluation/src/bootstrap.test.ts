import { describe, expect, it } from 'vitest';
import { resampleByGroup } from './bootstrap.js';

/** Draws the groups of a script, in turn. */
const scripted = (groups: readonly number[], count: number) => {
  let at = 0;
  return () => (groups[at++ % groups.length]! + 0.5) / count;
};
const seeded = () => {
  let state = 7;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
};

describe('resampleByGroup', () => {
  // Group 4 has the cases 1 and 3 of column a, group 9 the case 8.
  const groups = [4, 9, 4];
  const a = [1, 8, 3];
  const b = [1, 2, 1];
  // Draws: 4 4, 4 9, 9 9. Means of a: (1+3+1+3)/4 = 2, (1+3+8)/3 = 4, (8+8)/2 = 8; of b: 1, 4/3, 2.
  const draws = [0, 0, 0, 1, 1, 1];
  const resample = (resamples: number, level?: number) =>
    resampleByGroup([a, b], groups, {
      ...{ uniform: scripted(draws, 2), resamples },
      ...(level === undefined ? {} : { level }),
    });

  it('draws whole groups and takes means over the cases drawn', () => {
    expect(resample(3, 1).estimate(0)).toEqual({ mean: 4, low: 2, high: 8 });
    expect(resample(3, 0).estimate(0)).toEqual({ mean: 4, low: 4, high: 4 });
    expect(resample(1).estimate(0)).toEqual({ mean: 4, low: 2, high: 2 });
  });

  it('compares two columns on the same draws', () => {
    const { difference, ratio } = resample(3, 1);
    expect(difference(0, 1)).toEqual({ mean: 4 - 4 / 3, low: 1, high: 6 });
    expect(ratio(0, 1)).toEqual({ mean: 3, low: 2, high: 4 });
    expect(difference(1, 1)).toEqual({ mean: 0, low: 0, high: 0 });
  });

  it('knows no ratio to what is 0 in a draw', () => {
    const { ratio } = resampleByGroup([a, [0, 2, 0]], groups, {
      ...{ uniform: scripted(draws, 2), resamples: 3 },
    });
    expect(ratio(0, 1)).toBeNull();
    expect(ratio(1, 0)).toMatchObject({ low: 0 });
  });

  it('has the width that the deviation and the number of groups ask for', () => {
    const values = Array.from({ length: 400 }, (_, i) => i % 2);
    const { low, high } = resampleByGroup([values], [...values.keys()], {
      uniform: seeded(),
    }).estimate(0);
    // 2 x 1.96 x sqrt(.25 / 400)
    expect(high - low).toBeGreaterThan(0.9 * 0.098);
    expect(high - low).toBeLessThan(1.1 * 0.098);
  });

  it('refuses to draw from nothing', () => {
    expect(() => resampleByGroup([[]], [], { uniform: seeded() })).toThrow(RangeError);
  });
});
