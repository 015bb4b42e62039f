/**
 * Baselines that count: popularity, first-order Markov, item-to-item co-occurrence with decay.
 *
 * The latter two know nothing of most items for a given history; those are ordered by popularity behind
 * the known ones.
 */
import { backoffScores, countItems } from './backoff.js';
import { addRow, countPairs } from './pair-counts.js';
import type { Scorer, TrainingHistories } from './types.js';

/** Score = how often the item was interacted with in training. Knows nothing of the history. */
export function fitPopularity(train: TrainingHistories, itemCount: number): Scorer {
  const scores = Float32Array.from(countItems(train, itemCount));
  scores[0] = -Infinity;
  return { name: 'popularity', readsNewest: 0, score: (_history, out) => out.set(scores) };
}

/** Item i -> how often j came directly after it. */
const nextCounts = (train: TrainingHistories, itemCount: number) =>
  countPairs(train, itemCount, { before: 0, after: 1, itself: true });

/** Score = how often the item came directly after the last item of the history. */
export function fitMarkov(train: TrainingHistories, itemCount: number): Scorer {
  const next = nextCounts(train, itemCount);
  const backoff = backoffScores(train, itemCount);
  return {
    name: 'markov',
    readsNewest: 1,
    score(history, out) {
      out.set(backoff);
      if (history.length > 0) addRow(next, history[history.length - 1]!, 1, out);
    },
  };
}

export interface CooccurrenceOptions {
  /** Weight of the item t steps before the newest is decay^t. Defaults: best on Beauty's validation. */
  readonly decay?: number;
  /** Weight of symmetric co-occurrence beside "came directly after". */
  readonly symmetricWeight?: number;
  /** Items further apart than this in a training history do not count as co-occurring. */
  readonly reach?: number;
  /** Newest items of the history that are looked at. */
  readonly lookback?: number;
}

/**
 * Score(j) = sum over the history, t steps back, of decay^t (next(i, j) + w co(i, j)).
 * The strongest of the counting baselines.
 */
export function fitCooccurrence(
  train: TrainingHistories,
  itemCount: number,
  options: CooccurrenceOptions = {},
): Scorer {
  const { decay = 0.3, symmetricWeight = 0.1, reach = 50, lookback = 20 } = options;
  const next = nextCounts(train, itemCount);
  // Item i -> in how many neighbourhoods of i the item j stands, on either side.
  const symmetric = countPairs(train, itemCount, { before: reach, after: reach, itself: false });
  const backoff = backoffScores(train, itemCount);
  return {
    name: 'cooccurrence',
    score(history, out) {
      out.set(backoff);
      let factor = 1;
      const oldest = Math.max(0, history.length - lookback);
      for (let h = history.length - 1; h >= oldest; h--, factor *= decay) {
        addRow(next, history[h]!, factor, out);
        addRow(symmetric, history[h]!, factor * symmetricWeight, out);
      }
    },
  };
}
