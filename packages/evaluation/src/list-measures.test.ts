import { describe, expect, it } from 'vitest';
import { giniOf, measureLists } from './list-measures.js';

describe('measureLists', () => {
  // Items 1..4: 1 and 2 point the same way, 3 across, 4 in between; item 5 is never shown.
  const vectors = Float32Array.of(1, 0, 1, 0, 0, 1, Math.SQRT1_2, Math.SQRT1_2);
  const context = {
    ...{ length: 3, counts: [0, 10, 4, 1, 0, 7], vectors, width: 2 },
    rowOf: Int32Array.of(-1, 0, 1, 2, 3, -1),
  };
  const measured = measureLists(Int32Array.of(1, 2, 3, 4, 1, 0, 3, 0, 0, 0, 0, 0), context);

  it('says how much of the catalogue is shown, and how evenly', () => {
    expect(measured.coverage).toBe(4 / 5);
    // Shown 2, 1, 2, 1, 0 times: sorted 0 1 1 2 2 with weights -4 -2 0 2 4, over 5 items and 6 showings.
    expect(measured.gini).toBeCloseTo((-2 + 0 + 4 + 8) / (5 * 6), 12);
  });

  it('takes the mean popularity of each list, and 0 of an empty one', () => {
    expect([...measured.popularity]).toEqual([expect.closeTo(5, 12), 5, 1, 0]);
  });

  it('takes the mean distance over the pairs of each list, and 0 where there is none', () => {
    // 1 2: 0, 1 3: 1, 2 3: 1; then 4 1: 1 - cos 45.
    const wanted = [2 / 3, 1 - Math.SQRT1_2, 0, 0];
    measured.diversity.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 6));
  });
});

describe('giniOf', () => {
  it('is 0 where all are alike and nears 1 where one has all', () => {
    expect(giniOf(Float64Array.of(3, 3, 3))).toBe(0);
    expect(giniOf(Float64Array.of(0, 0, 0, 8))).toBeCloseTo(3 / 4, 12);
    expect(giniOf(Float64Array.of(0, 0))).toBe(0);
  });
});
