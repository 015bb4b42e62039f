import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boostScores, MAX_TOTAL_FACTOR, raisedFilter } from './boosts.js';

const IDS = ['a', 'b', 'c', 'd', 'e'];
const candidates = fc.tuple(
  ...IDS.map((itemId) =>
    fc.double({ min: -20, max: 20, noNaN: true }).map((score) => ({ itemId, score })),
  ),
);
const factor = fc.double({ min: 0.1, max: 10, noNaN: true });
const on = (id: string, by: number) => ({ filter: { field: 'item_id', eq: id }, factor: by });
const scores = (list: readonly { itemId: string; score: number }[]) =>
  new Map(list.map(({ itemId, score }) => [itemId, score]));

describe('boostScores', () => {
  it('multiplies the weight exp(score), whatever the sign of the score', () => {
    const boosted = scores(
      boostScores(
        [
          { itemId: 'a', score: -3 },
          { itemId: 'b', score: 2 },
        ],
        [on('a', 4)],
        new Map(),
        'logit',
      ),
    );
    expect(Math.exp(boosted.get('a')!)).toBeCloseTo(4 * Math.exp(-3), 12);
    expect(boosted.get('b')).toBe(2);
  });

  it('raises what a factor above 1 matches, lowers below 1, and leaves the rest and their order', () => {
    fc.assert(
      fc.property(candidates, factor, fc.constantFrom('logit', 'weight'), (list, by, kind) => {
        const positive = list.map((c) =>
          kind === 'weight' ? { ...c, score: Math.abs(c.score) } : c,
        );
        const before = scores(positive);
        const after = scores(boostScores(positive, [on('a', by)], new Map(), kind));
        const change = after.get('a')! - before.get('a')!;
        if (by > 1) expect(change).toBeGreaterThanOrEqual(0);
        if (by < 1) expect(change).toBeLessThanOrEqual(0);
        for (const id of IDS.slice(1)) expect(after.get(id)).toBeCloseTo(before.get(id)!, 12);
      }),
    );
  });

  it('with a greater factor never puts an item lower', () => {
    fc.assert(
      fc.property(candidates, factor, factor, (list, one, other) => {
        const rank = (by: number) => {
          const after = boostScores(list, [on('c', by)], new Map(), 'logit');
          const own = after.find(({ itemId }) => itemId === 'c')!.score;
          return after.filter(({ score }) => score > own).length;
        };
        const [small, great] = [Math.min(one, other), Math.max(one, other)];
        expect(rank(great)).toBeLessThanOrEqual(rank(small));
      }),
    );
  });

  it('multiplies the factors of all that match, within bounds', () => {
    const boost = (...by: number[]) =>
      boostScores(
        [{ itemId: 'a', score: 0 }],
        by.map((f) => on('a', f)),
        new Map(),
        'logit',
      )[0]!.score;
    expect(boost(2, 3)).toBeCloseTo(Math.log(6), 12);
    expect(boost(10, 10, 10, 10)).toBeCloseTo(Math.log(MAX_TOTAL_FACTOR), 12);
    expect(boost(0.1, 0.1, 0.1)).toBeCloseTo(-Math.log(MAX_TOTAL_FACTOR), 12);
  });

  it('looks for what is raised only', () => {
    expect(raisedFilter([on('a', 0.5), on('b', 1)])).toBeNull();
    expect(raisedFilter([on('a', 0.5), on('b', 2)])).toEqual({
      or: [{ field: 'item_id', eq: 'b' }],
    });
  });
});
