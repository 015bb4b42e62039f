import { normaliseRows, type AskedCases } from '@nestrec/evaluation';
import { selectBackend } from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { newestItemScorer } from './vector-scorer.js';

// Items 1 and 2 point apart, 3 lies between them, 4 has no text; lengths differ.
const FEATURES = Float32Array.of(2, 0, 0, 3, 1, 1, 0, 0);

function asked(history: readonly number[], targets: readonly number[]): AskedCases {
  const offsets = Int32Array.from({ length: targets.length + 1 }, (_, c) => c * history.length);
  const none = { offsets: new Int32Array(targets.length + 1), items: new Int32Array(0) };
  const items = Int32Array.from(targets.flatMap(() => history));
  return { histories: { offsets, items }, targets: Int32Array.from(targets), seen: none };
}

describe('newestItemScorer', () => {
  const scorer = newestItemScorer('text-cosine', normaliseRows(FEATURES, 2), 2);
  const ranks = (history: readonly number[]) => {
    const [answers] = scorer.answer(asked(history, [1, 2, 3, 4]), null);
    expect(answers).toMatchObject({ scorer: 'text-cosine', dim: null });
    return [...answers!.all];
  };
  beforeAll(() => selectBackend({ force: 'cpu' }));

  it('ranks by the cosine to the newest item alone, whatever the lengths', () => {
    expect(ranks([1])).toEqual([1, 4, 2, 4]);
    // Of an item at a right angle and one without text neither is nearer: both stand behind.
    expect(ranks([1, 2])).toEqual([4, 1, 2, 4]);
  });

  it('tells nothing apart for an empty history or an item without text', () => {
    expect(ranks([])).toEqual([4, 4, 4, 4]);
    expect(ranks([1, 4])).toEqual([4, 4, 4, 4]);
  });
});
