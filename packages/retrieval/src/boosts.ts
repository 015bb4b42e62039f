/**
 * Boosts: items that match a filter count for more, or less. Pure.
 *
 * The model is trained by softmax: exp(score) is an item's weight among all others. A boost multiplies that
 * weight, so a score moves by ln(factor). That has a meaning where scores are negative, does not depend on
 * which other items are looked at, and keeps the order among items of equal factor (decision 0025).
 */
import type { Boost, Filter } from '@nestrec/contracts';
import { filterMatcher, type FilterableItem } from './filter-match.js';
import type { Candidate } from './ranking.js';

/** Bounds of the product of all factors of one item. */
export const MIN_TOTAL_FACTOR = 0.01;
export const MAX_TOTAL_FACTOR = 100;

/**
 * What a score is: `logit`, the logarithm of a weight, as the model's; `weight`, itself one, as the sums of
 * reciprocal ranks.
 */
export type ScoreKind = 'logit' | 'weight';

/** Scores after all boosts; items that `fieldsOf` does not know match as items without fields. */
export function boostScores(
  candidates: readonly Candidate[],
  boosts: readonly Boost[],
  fieldsOf: ReadonlyMap<string, FilterableItem>,
  kind: ScoreKind,
): Candidate[] {
  const matchers = boosts.map(({ filter, factor }) => ({ matches: filterMatcher(filter), factor }));
  return candidates.map(({ itemId, score }) => {
    const item = fieldsOf.get(itemId) ?? { item_id: itemId };
    const product = matchers.reduce((f, m) => (m.matches(item) ? f * m.factor : f), 1);
    const factor = Math.min(MAX_TOTAL_FACTOR, Math.max(MIN_TOTAL_FACTOR, product));
    return { itemId, score: kind === 'logit' ? score + Math.log(factor) : score * factor };
  });
}

/** What matches a boost that raises; null where none does. */
export function raisedFilter(boosts: readonly Boost[]): Filter | null {
  const raising = boosts.filter(({ factor }) => factor > 1).map(({ filter }) => filter);
  return raising.length === 0 ? null : { or: raising };
}
