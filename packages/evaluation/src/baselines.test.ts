import { describe, expect, it } from 'vitest';
import { fitCooccurrence, fitMarkov, fitPopularity } from './counting-baselines.js';
import type { Scorer } from './types.js';

const histories = (rows: readonly (readonly number[])[]) => rows.map((row) => Int32Array.from(row));

function scoresOf(scorer: Scorer, itemCount: number, history: readonly number[]): number[] {
  const out = new Float32Array(itemCount + 1).fill(123);
  scorer.score(Int32Array.from(history), out);
  expect(out[0]).toBe(-Infinity);
  return [...out.subarray(1)];
}

// Popularity: 1 four times, 2 three, 3 twice, 4 once, 5 never.
const train = histories([[1, 2, 1, 3], [], [2, 1, 2], [4, 3, 1]]);
const N = 5;

describe('counting baselines', () => {
  it('popularity counts interactions and ignores the history', () => {
    const scorer = fitPopularity(train, N);
    expect(scoresOf(scorer, N, [])).toEqual([4, 3, 2, 1, 0]);
    expect(scoresOf(scorer, N, [5])).toEqual([4, 3, 2, 1, 0]);
  });

  it('Markov counts what came directly after the newest item, the rest by popularity behind it', () => {
    const scorer = fitMarkov(train, N);
    const after1 = scoresOf(scorer, N, [4, 1]);
    expect(after1.map(Math.round)).toEqual([0, 2, 1, 0, 0]);
    expect(after1[0]).toBeGreaterThan(after1[3]!);
    expect(after1[3]).toBeGreaterThan(after1[4]!);
    const empty = scoresOf(scorer, N, []);
    expect(Math.max(...empty)).toBeLessThanOrEqual(0.0101);
    expect(empty.indexOf(Math.max(...empty))).toBe(0);
  });

  it('no history runs on into the next user’s', () => {
    const after3 = scoresOf(fitMarkov(train, N), N, [3]);
    // Of the two 3s one ends its history.
    expect(after3.map(Math.round)).toEqual([1, 0, 0, 0, 0]);
  });

  it('co-occurrence adds both counts over the history, each step back decayed', () => {
    const options = { decay: 0.5, symmetricWeight: 10, reach: 50 };
    const scorer = fitCooccurrence(train, N, options);
    // Of 4: next 3 once; beside it 3 and 1 once each.
    expect(scoresOf(scorer, N, [4]).map(Math.round)).toEqual([10, 0, 11, 0, 0]);
    // Of 3, half of 4 added: next 1 once; beside it 1 three times, 2 and 4 once each.
    expect(scoresOf(scorer, N, [4, 3]).map((s) => Math.round(s * 2) / 2)).toEqual([
      31 + 5,
      10,
      5.5,
      10,
      0,
    ]);
  });

  it('co-occurrence looks no further than its reach in training and its lookback in the history', () => {
    const chain = histories([[1, 2, 3]]);
    const near = fitCooccurrence(chain, 3, { symmetricWeight: 1, reach: 1, decay: 1 });
    expect(scoresOf(near, 3, [1]).map(Math.round)).toEqual([0, 2, 0]);
    const short = fitCooccurrence(chain, 3, { symmetricWeight: 1, decay: 1, lookback: 1 });
    expect(scoresOf(short, 3, [1, 2])).toEqual(scoresOf(short, 3, [2]));
  });
});
