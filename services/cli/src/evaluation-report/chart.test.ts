import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chart } from './chart.js';

/** Vertical places of names at the right, from the top. */
function namePlaces(values: readonly number[]): number[] {
  const { text } = chart({
    ...{ title: 't', xLabel: 'x', yLabel: 'y', xScale: 'linear', fromZero: true },
    yFormat: String,
    series: [{ name: 's', points: [{ x: 1, y: 0.5, title: '' }] }],
    references: values.map((y, i) => ({ name: `r${i}`, y, title: '' })),
  });
  return [...text.matchAll(/<text class="name[^"]*" x="[\d.]+" y="([-\d.]+)"/g)]
    .map(([, y]) => Number(y))
    .sort((a, b) => a - b);
}

describe('chart', () => {
  it('writes every name apart from the others and inside the picture', () => {
    const value = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 1));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 12 }), (values) => {
        const places = namePlaces(values);
        expect(places).toHaveLength(values.length + 1);
        expect(places[0]).toBeGreaterThan(0);
        expect(places.at(-1)).toBeLessThan(320);
        places.slice(1).forEach((y, i) => expect(y - places[i]!).toBeGreaterThanOrEqual(13.8));
      }),
    );
  });

  it('draws larger values higher, an interval around its point, and a log axis by ratios', () => {
    const point = (x: number, y: number) => ({ x, y, low: y - 1, high: y + 1, title: '' });
    const { text } = chart({
      ...{ title: 't', xLabel: 'x', yLabel: 'y', xScale: 'log', fromZero: true, yFormat: String },
      series: [{ name: 's', points: [point(8, 2), point(16, 4), point(32, 6)] }],
    });
    const dots = [...text.matchAll(/cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [
      Number(x),
      Number(y),
    ]) as [[number, number], [number, number], [number, number]];
    expect(dots[0][1]).toBeGreaterThan(dots[1][1]);
    expect(dots[1][1] - dots[2][1]).toBeCloseTo(dots[0][1] - dots[1][1], 0);
    expect(dots[1][0] - dots[0][0]).toBeCloseTo(dots[2][0] - dots[1][0], 0);
    const bars = [...text.matchAll(/d="M[\d.]+ ([\d.]+)V([\d.]+)M/g)].map(([, from, to]) => [
      Number(from),
      Number(to),
    ]) as [number, number][];
    bars.forEach(([from, to], i) => expect((from + to) / 2).toBeCloseTo(dots[i]![1], 0));
  });
});
