import { describe, expect, it } from 'vitest';
import { measureScoring } from './scoring-time.js';

/** A clock on which one query after the other takes so long; it begins anew for each size. */
function clock(durations: readonly number[]) {
  let [at, now] = [0, 0];
  return () =>
    at++ % (durations.length + 1) === 0
      ? now
      : (now += durations[(at - 2) % (durations.length + 1)]!);
}
const task = (durations: readonly number[], mostMsPerSize = Infinity) => ({
  items: Float32Array.from({ length: 6 * 4 }, (_, i) => i),
  queries: Float32Array.from({ length: durations.length * 4 }, (_, i) => i),
  ...{ sizes: [2, 4], length: 3, mostMsPerSize, now: clock(durations) },
});

describe('measureScoring', () => {
  it('gives median and 95th percentile of the queries at every size', () => {
    const durations = Array.from({ length: 20 }, (_, i) => 20 - i);
    expect(measureScoring(task(durations))).toEqual([
      { size: 2, queries: 20, medianMs: 10, p95Ms: 19 },
      { size: 4, queries: 20, medianMs: 10, p95Ms: 19 },
    ]);
  });

  it('begins no query when its time at a size is over', () => {
    const [first] = measureScoring({ ...task([4, 3, 8, 1, 1], 7), sizes: [4] });
    expect(first).toEqual({ size: 4, queries: 2, medianMs: 3, p95Ms: 4 });
  });
});
