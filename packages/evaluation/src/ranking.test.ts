import { describe, expect, it } from 'vitest';
import { bootstrapInterval, groupedBootstrap } from './bootstrap.js';
import { createRankingMetrics, metricsOfRanks, rankOfTarget } from './ranking.js';

/** Scores of items 1..n; index 0 is never ranked, whatever stands there. */
const scores = (...values: number[]) => Float32Array.of(99, ...values);

describe('rankOfTarget', () => {
  it('is one more than the number of items with a larger score', () => {
    expect(rankOfTarget(scores(0.1, 0.9, 0.5), 2)).toBe(1);
    expect(rankOfTarget(scores(0.1, 0.9, 0.5), 3)).toBe(2);
    expect(rankOfTarget(scores(0.1, 0.9, 0.5), 1)).toBe(3);
  });

  it('puts the target behind every item of equal score, so that constant scores earn nothing', () => {
    expect(rankOfTarget(scores(1, 1, 1, 1), 1)).toBe(4);
    expect(rankOfTarget(scores(2, 1, 1, 0), 2)).toBe(3);
  });

  it('takes a score that is not a number as larger: a broken scorer gets the worst rank', () => {
    expect(rankOfTarget(scores(1, NaN, 0), 1)).toBe(2);
    expect(rankOfTarget(scores(NaN, 1, 0), 1)).toBe(3);
  });
});

describe('ranking metrics', () => {
  it('equal hand-computed values for ranks 1, 3, 10 and 11', () => {
    const metrics = metricsOfRanks([1, 3, 10, 11], [5, 10]);
    expect(metrics['recall@5']).toBeCloseTo(2 / 4, 12);
    expect(metrics['recall@10']).toBeCloseTo(3 / 4, 12);
    // 1/log2(2) = 1, 1/log2(4) = 0.5, 1/log2(11) = 0.2890648...
    expect(metrics['ndcg@5']).toBeCloseTo((1 + 0.5) / 4, 12);
    expect(metrics['ndcg@10']).toBeCloseTo((1 + 0.5 + 0.2890648263178879) / 4, 12);
    expect(metrics['mrr@5']).toBeCloseTo((1 + 1 / 3) / 4, 12);
    expect(metrics['mrr@10']).toBeCloseTo((1 + 1 / 3 + 1 / 10) / 4, 12);
  });

  it('have the cutoffs 5, 10, 20 and 50, and are 0 when nothing was asked', () => {
    const metrics = createRankingMetrics();
    expect(Object.keys(metrics.result())).toHaveLength(12);
    expect(metrics.result()['ndcg@50']).toBe(0);
    metrics.add(20);
    expect(metrics.cases).toBe(1);
    expect(metrics.result()).toMatchObject({ 'recall@10': 0, 'recall@20': 1, 'mrr@20': 1 / 20 });
  });

  it('refuse ranks that are none', () => {
    for (const rank of [0, -1, NaN])
      expect(() => createRankingMetrics().add(rank)).toThrow(RangeError);
  });
});

describe('bootstrapInterval', () => {
  it('holds the mean, narrows with more values, and is a point where all are equal', () => {
    let state = 1;
    const uniform = () => (state = (state * 48271) % 2147483647) / 2147483647;
    const width = (n: number) => {
      const values = Array.from({ length: n }, (_, i) => i % 2);
      const { low, high } = bootstrapInterval(values, { uniform });
      expect(low).toBeLessThanOrEqual(0.5);
      expect(high).toBeGreaterThanOrEqual(0.5);
      return high - low;
    };
    expect(width(1_000)).toBeLessThan(width(50));
    expect(bootstrapInterval([3, 3, 3], { uniform })).toEqual({ low: 3, high: 3 });
  });
});

describe('groupedBootstrap', () => {
  const seeded = () => {
    let state = 7;
    return () => (state = (state * 48271) % 2147483647) / 2147483647;
  };

  it('gives the mean over cases, and is as wide as groups are few, not cases', () => {
    // 40 groups of 25 equal cases know no more than 40 cases.
    const values = Array.from({ length: 1_000 }, (_, i) => Math.floor(i / 25) % 2);
    const groups = values.map((_, i) => Math.floor(i / 25));
    const [grouped] = groupedBootstrap([values], groups, { uniform: seeded() });
    const [single] = groupedBootstrap([values], [...values.keys()], { uniform: seeded() });
    const few = bootstrapInterval(
      [0, 1].flatMap((v) => Array<number>(20).fill(v)),
      {
        uniform: seeded(),
      },
    );
    expect(grouped!.mean).toBe(0.5);
    const width = (interval: { low: number; high: number }) => interval.high - interval.low;
    expect(width(grouped!)).toBeGreaterThan(4 * width(single!));
    expect(width(grouped!) / width(few)).toBeCloseTo(1, 0);
  });

  it('weighs every case alike where groups differ in size, and draws the same for all columns', () => {
    const groups = [5, 5, 5, 9];
    const [one, other] = groupedBootstrap(
      [
        [1, 1, 1, 0],
        [2, 2, 2, 1],
      ],
      groups,
      {
        uniform: seeded(),
      },
    );
    expect(one!.mean).toBe(0.75);
    expect([other!.low - one!.low, other!.high - one!.high]).toEqual([1, 1]);
  });
});
