/**
 * Baselines that count: popularity, first-order Markov, item-to-item co-occurrence with decay.
 *
 * The latter two know nothing of most items for a given history; those are ordered by popularity behind
 * the known ones (worth .01 count at most), since a baseline beaten for want of that would flatter us.
 */
import { addRow, boundsOf, buildSparseRows, occurrencesOf, type SparseRows } from './sparse.js';
import type { Histories, Scorer } from './types.js';

/** Score = how often the item was interacted with in training. Knows nothing of the history. */
export function fitPopularity(train: Histories, itemCount: number): Scorer {
  const counts = new Float32Array(itemCount + 1);
  for (const item of train.items) counts[item]!++;
  counts[0] = -Infinity;
  return { name: 'popularity', readsNewest: 0, score: (_history, out) => out.set(counts) };
}

const BACKOFF = 0.01;

/** Popularity scaled to at most `BACKOFF`: less than any one count. */
function backoffScores(train: Histories, itemCount: number): Float32Array {
  const scores = new Float32Array(itemCount + 1);
  for (const item of train.items) scores[item]!++;
  const most = scores.reduce((a, b) => Math.max(a, b), 1);
  for (let i = 1; i <= itemCount; i++) scores[i]! *= BACKOFF / most;
  scores[0] = -Infinity;
  return scores;
}

/** Item i -> how often j came directly after it. */
function nextCounts(train: Histories, itemCount: number): SparseRows {
  const { offsets, positions } = occurrencesOf(train, itemCount);
  const { end } = boundsOf(train);
  return buildSparseRows(itemCount, (item, add) => {
    for (let at = offsets[item]!; at < offsets[item + 1]!; at++) {
      const position = positions[at]!;
      if (position + 1 < end[position]!) add(train.items[position + 1]!, 1);
    }
  });
}

/** Item i -> in how many neighbourhoods of i the item j stands, on either side. */
function symmetricCounts(train: Histories, itemCount: number, reach: number): SparseRows {
  const { offsets, positions } = occurrencesOf(train, itemCount);
  const { begin, end } = boundsOf(train);
  return buildSparseRows(itemCount, (item, add) => {
    for (let at = offsets[item]!; at < offsets[item + 1]!; at++) {
      const position = positions[at]!;
      const from = Math.max(begin[position]!, position - reach);
      const to = Math.min(end[position]!, position + reach + 1);
      for (let p = from; p < to; p++)
        if (p !== position && train.items[p] !== item) add(train.items[p]!, 1);
    }
  });
}

/** Score = how often the item came directly after the last item of the history. */
export function fitMarkov(train: Histories, itemCount: number): Scorer {
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
  train: Histories,
  itemCount: number,
  options: CooccurrenceOptions = {},
): Scorer {
  const { decay = 0.3, symmetricWeight = 0.1, reach = 50, lookback = 20 } = options;
  const next = nextCounts(train, itemCount);
  const symmetric = symmetricCounts(train, itemCount, reach);
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
