import { describe, expect, it } from 'vitest';
import { dot, normaliseRows } from './rows.js';

describe('rows', () => {
  it('are multiplied over every coordinate, also those past the last four', () => {
    const width = 7;
    const rows = Float32Array.from({ length: 2 * width }, (_, i) => Math.sin(i + 1));
    const query = rows.slice(0, width);
    for (const row of [0, 1]) {
      const own = rows.subarray(row * width, (row + 1) * width);
      const expected = query.reduce((sum, value, i) => sum + value * own[i]!, 0);
      expect(dot(rows, row * width, query)).toBeCloseTo(expected, 6);
    }
  });

  it('get the length 1, zeros stay, and what is given is left alone', () => {
    const given = Float32Array.of(3, 4, 0, 0, 0, -2);
    const [a, b, ...rest] = normaliseRows(given, 2);
    expect([a, b]).toEqual([expect.closeTo(0.6, 6), expect.closeTo(0.8, 6)]);
    expect(rest).toEqual([0, 0, 0, -1]);
    expect([...given]).toEqual([3, 4, 0, 0, 0, -2]);
  });

  it('are refused where they are not whole', () => {
    expect(() => normaliseRows(new Float32Array(8), 3)).toThrow(/8 numbers, not a multiple of 3/);
  });
});
