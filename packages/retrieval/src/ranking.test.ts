import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fuseRanks, rankCandidates, roundScore, SCORE_DECIMALS } from './ranking.js';

const candidates = fc.uniqueArray(
  fc.record({
    itemId: fc.string({ minLength: 1, maxLength: 3 }),
    score: fc.float({ min: -2, max: 2, noNaN: true }),
  }),
  { selector: (c) => c.itemId, maxLength: 40 },
);

describe('rankCandidates', () => {
  it('orders by the score that is shown, then by item id, whatever the order of candidates', () => {
    fc.assert(
      fc.property(candidates, fc.integer({ min: 1, max: 20 }), (list, k) => {
        const ranked = rankCandidates(list, k);
        expect(ranked).toEqual(rankCandidates(list.toReversed(), k));
        expect(ranked).toHaveLength(Math.min(k, list.length));
        for (let i = 1; i < ranked.length; i++) {
          const [a, b] = [ranked[i - 1]!, ranked[i]!];
          const inOrder =
            a.score > b.score ||
            (a.score === b.score && Buffer.from(a.item_id).compare(Buffer.from(b.item_id)) < 0);
          expect(inOrder).toBe(true);
        }
      }),
    );
  });

  it('breaks ties by item id and counts ranks from 1', () => {
    const tie = 1 + 10 ** -(SCORE_DECIMALS + 2);
    expect(
      rankCandidates(
        [
          { itemId: 'c', score: 0.5 },
          { itemId: 'b', score: tie },
          { itemId: 'a', score: 1 },
        ],
        3,
      ),
    ).toEqual([
      { item_id: 'a', score: 1, rank: 1 },
      { item_id: 'b', score: 1, rank: 2 },
      { item_id: 'c', score: 0.5, rank: 3 },
    ]);
  });

  it('never shows minus zero', () => {
    expect(Object.is(roundScore(-1e-9), 0)).toBe(true);
  });
});

describe('fuseRanks', () => {
  it('puts an item of both lists before items of one, by hand', () => {
    const list = (...ids: string[]) => ids.map((itemId, i) => ({ itemId, score: -i }));
    const fused = new Map(
      fuseRanks([list('a', 'b', 'c'), list('c', 'd')]).map((c) => [c.itemId, c.score]),
    );
    expect(fused.get('c')).toBeCloseTo(1 / 63 + 1 / 61, 12);
    expect(fused.get('a')).toBeCloseTo(1 / 61, 12);
    expect(fused.get('d')).toBeCloseTo(1 / 62, 12);
    expect(Math.max(...fused.values())).toBe(fused.get('c'));
  });
});
