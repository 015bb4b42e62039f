import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diversify } from './mmr.js';

const ranked = (...scores: number[]) =>
  scores.map((score, i) => ({ item_id: `i${i}`, score, rank: i + 1 }));
const at = (degrees: number) =>
  Float32Array.of(Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180));
const vectorsOf = (...degrees: number[]) =>
  new Map(degrees.map((angle, i) => [`i${i}`, at(angle)]));
const idsOf = (items: readonly { item_id: string }[]) => items.map((item) => item.item_id);

describe('diversify', () => {
  it('takes the best first, then the one that is good and unlike what is there (by hand)', () => {
    // Relevance 1, .9, .5, 0. After i0, at d = 1/2: i1 .45 - .5 cos 5, i2 .25 - 0, i3 0 + .5.
    const candidates = ranked(10, 9, 5, 0);
    const vectors = vectorsOf(0, 5, 90, 180);
    const chosen = diversify({ candidates, before: [], vectors, k: 3, diversity: 0.5 });
    expect(idsOf(chosen)).toEqual(['i0', 'i3', 'i2']);
  });

  it('counts likeness to what earlier pages have shown', () => {
    const vectors = new Map([...vectorsOf(0, 90), ['shown', at(0)]] as const);
    const options = { candidates: ranked(10, 9.9, 0), vectors, k: 1, diversity: 0.5 };
    expect(idsOf(diversify({ ...options, before: [] }))).toEqual(['i0']);
    expect(idsOf(diversify({ ...options, before: ['shown'] }))).toEqual(['i1']);
  });

  const lists = fc.record({
    scores: fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 20 }),
    angles: fc.array(fc.integer({ min: 0, max: 359 }), { minLength: 20, maxLength: 20 }),
    k: fc.integer({ min: 1, max: 25 }),
    diversity: fc.double({ min: 0, max: 1, noNaN: true }),
  });

  it('gives k different candidates, or all there are', () => {
    fc.assert(
      fc.property(lists, ({ scores, angles, k, diversity }) => {
        const candidates = ranked(...scores.sort((a, b) => b - a));
        const chosen = diversify({
          candidates,
          before: [],
          vectors: vectorsOf(...angles),
          k,
          diversity,
        });
        expect(chosen).toHaveLength(Math.min(k, candidates.length));
        expect(new Set(idsOf(chosen)).size).toBe(chosen.length);
        if (diversity < 1) expect(chosen[0]).toEqual(candidates[0]);
      }),
    );
  });

  it('at 0 keeps the order, and a page after a page is the long list', () => {
    fc.assert(
      fc.property(lists, ({ scores, angles, k, diversity }) => {
        const candidates = ranked(...scores.sort((a, b) => b - a));
        const vectors = vectorsOf(...angles);
        const asIs = diversify({ candidates, before: [], vectors, k, diversity: 0 });
        expect(asIs).toEqual(candidates.slice(0, k));
        const one = { candidates, before: [], vectors, diversity };
        const first = idsOf(diversify({ ...one, k }));
        const long = idsOf(diversify({ ...one, k: 2 * k }));
        expect(long.slice(0, first.length)).toEqual(first);
      }),
    );
  });

  it('takes an item without a vector for like no other', () => {
    const chosen = diversify({
      ...{ candidates: ranked(2, 1.9, 1.8), before: [], k: 2, diversity: 0.9 },
      vectors: new Map([...vectorsOf(0, 1)]),
    });
    expect(idsOf(chosen)).toEqual(['i0', 'i2']);
  });
});
