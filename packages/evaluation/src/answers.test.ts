import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { caseScorerOf, type AskedCases } from './answers.js';
import { topOf } from './top-of.js';
import type { Histories } from './types.js';

const ragged = (rows: readonly (readonly number[])[]): Histories => {
  const offsets = [0];
  for (const row of rows) offsets.push(offsets.at(-1)! + row.length);
  return { offsets: Int32Array.from(offsets), items: Int32Array.from(rows.flat()) };
};

describe('caseScorerOf', () => {
  // Score of item i is i, but for the newest item of the history, which gets 2.5.
  const scorer = {
    name: 'by-number',
    readsNewest: 1,
    score(history: Int32Array, out: Float32Array) {
      out.forEach((_, i) => (out[i] = i));
      if (history.length > 0) out[history.at(-1)!] = 2.5;
      out[0] = -Infinity;
    },
  };
  const asked: AskedCases = {
    histories: ragged([[5], [], [5, 4, 1], [5]]),
    targets: Int32Array.of(2, 4, 3, 1),
    seen: ragged([[5], [], [5, 4, 1], [5]]),
  };

  it('ranks each target among all items, and without those of its history', () => {
    const [answers] = caseScorerOf(scorer, 5).answer(asked, null);
    expect(answers).toMatchObject({ scorer: 'by-number', dim: null, lists: null });
    // 2 is behind 3, 4 and 5 (2.5), of which 5 is seen.
    expect([...answers!.all]).toEqual([4, 2, 3, 5]);
    expect([...answers!.masked]).toEqual([3, 2, 1, 4]);
  });

  it('scores histories of equal newest items once where that is all it reads, with the same answers', () => {
    const counted = ({ name, score }: typeof scorer, readsNewest?: number) => {
      const counting = {
        ...{ name, calls: 0 },
        ...(readsNewest === undefined ? {} : { readsNewest }),
        score(history: Int32Array, out: Float32Array) {
          counting.calls++;
          score(history, out);
        },
      };
      return counting;
    };
    const [whole, newest] = [counted(scorer), counted(scorer, 1)];
    const wanted = { of: Int32Array.of(0, 3), length: 2 };
    const expected = caseScorerOf(whole, 5).answer(asked, wanted);
    expect(caseScorerOf(newest, 5).answer(asked, wanted)).toEqual(expected);
    expect([whole.calls, newest.calls]).toEqual([4, 3]);
  });

  it('puts a target behind seen and unseen items of its score, of which the seen ones can be left out', () => {
    const alike = { name: 'alike', score: (_: Int32Array, out: Float32Array) => out.fill(1) };
    const [answers] = caseScorerOf(alike, 5).answer(asked, null);
    expect([...answers!.all]).toEqual([5, 5, 5, 5]);
    expect([...answers!.masked]).toEqual([4, 5, 2, 4]);
  });

  it('lists what is not seen, best first, for the cases that are asked for a list', () => {
    const [answers] = caseScorerOf(scorer, 5).answer(asked, { of: Int32Array.of(1, 2), length: 3 });
    expect([...answers!.lists!]).toEqual([5, 4, 3, 3, 2, 0]);
  });
});

describe('topOf', () => {
  it('is the beginning of a stable sort, without what is left out or has no finite score', () => {
    const score = fc.oneof(
      fc.integer({ min: -3, max: 3 }),
      fc.constantFrom(NaN, Infinity, -Infinity),
    );
    fc.assert(
      fc.property(
        fc.array(score, { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 6 }),
        (scores, left, length) => {
          const wanted = scores
            .map((value, i) => ({ value, item: i + 1 }))
            .filter(({ value, item }) => Number.isFinite(value) && !left.includes(item))
            .sort((a, b) => b.value - a.value || a.item - b.item)
            .map(({ item }) => item);
          const out = new Int32Array(length).fill(99);
          topOf(Float32Array.from([9, ...scores]), Int32Array.from(left), out);
          expect([...out]).toEqual(Array.from({ length }, (_, i) => wanted[i] ?? 0));
        },
      ),
    );
  });
});
