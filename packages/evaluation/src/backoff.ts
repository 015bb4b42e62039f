/**
 * What counting baselines know of items that their counts say nothing of: an order by popularity, behind every item
 * that they do know. A baseline beaten for want of that would flatter us.
 */
import type { TrainingHistories } from './types.js';

/** How often each item was interacted with; index 0 is no item. */
export function countItems(train: TrainingHistories, itemCount: number): Float64Array {
  const counts = new Float64Array(itemCount + 1);
  for (const history of train) for (const item of history) counts[item]!++;
  return counts;
}

const SHARE = 0.01;

/** Popularity scaled to at most a hundredth of `least`, the smallest score that a known item can have. */
export function backoffScores(
  train: TrainingHistories,
  itemCount: number,
  least = 1,
): Float32Array {
  const counts = countItems(train, itemCount);
  const most = counts.reduce((a, b) => Math.max(a, b), 1);
  const scores = Float32Array.from(counts, (count) => count * ((least * SHARE) / most));
  scores[0] = -Infinity;
  return scores;
}
