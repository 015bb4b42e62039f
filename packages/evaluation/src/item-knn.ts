/**
 * ItemKNN: the classic item-to-item recommender. Two items are alike as far as the same users had both; an item's
 * score is the sum of its likeness to the items that the user had last.
 *
 * Item-based top-N as of Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms" (ACM TOIS 22, 2004),
 * with the shrunk cosine of Ferrari Dacrema, Cremonesi and Jannach, "Are We Really Making Much Progress?"
 * (RecSys 2019, arXiv 1907.06902): s(i, j) = n(i, j) / (sqrt(n(i) n(j)) + shrink), where n(i) users had i and n(i, j)
 * both. Each item keeps its most similar neighbours; how often and in which order a user had an item decides nothing.
 */
import { backoffScores } from './backoff.js';
import { addRow, countPairs, type PairCounts } from './pair-counts.js';
import type { Scorer, TrainingHistories } from './types.js';

export interface ItemKnnOptions {
  /** Neighbours kept of each item. Defaults: best on Beauty's validation. */
  readonly neighbours?: number;
  /** Added to the denominator: what few users say counts less. */
  readonly shrink?: number;
  /** Newest distinct items of the history that are looked at. */
  readonly lookback?: number;
  /** Newest distinct items of a user that count in training: pairs grow with their square. */
  readonly itemsPerUser?: number;
}

export function fitItemKnn(
  train: TrainingHistories,
  itemCount: number,
  options: ItemKnnOptions = {},
): Scorer {
  const { neighbours = 400, shrink = 30, lookback = 2, itemsPerUser = 500 } = options;
  const sets: TrainingHistories = {
    *[Symbol.iterator]() {
      for (const history of train) yield newestDistinct(history, itemsPerUser);
    },
  };
  const users = new Float64Array(itemCount + 1);
  for (const set of sets) for (const item of set) users[item]!++;
  const everywhere = { before: itemsPerUser, after: itemsPerUser, itself: false };
  const both = countPairs(sets, itemCount, everywhere);
  const similar = nearest(
    both,
    neighbours,
    (i, j, n) => n / (Math.sqrt(users[i]! * users[j]!) + shrink),
  );
  const backoff = backoffScores(train, itemCount, smallestOf(similar.weights));
  return {
    name: 'item-knn',
    score(history, out) {
      out.set(backoff);
      for (const item of newestDistinct(history, lookback)) addRow(similar, item, 1, out);
    },
  };
}

/** Up to `most` distinct items, those that stand last, the newest last. */
function newestDistinct(history: Int32Array, most: number): Int32Array {
  const items = new Set<number>();
  for (let h = history.length - 1; h >= 0 && items.size < most; h--) items.add(history[h]!);
  return Int32Array.from(items).reverse();
}

/** Of each row the `most` columns of the highest similarity; of equal ones those that stand first. */
function nearest(
  { offsets, columns, weights }: PairCounts,
  most: number,
  similarity: (item: number, other: number, count: number) => number,
): PairCounts {
  const kept = new Int32Array(offsets.length);
  for (let item = 0; item + 1 < offsets.length; item++)
    kept[item + 1] = kept[item]! + Math.min(most, offsets[item + 1]! - offsets[item]!);
  const keptColumns = new Int32Array(kept.at(-1)!);
  const keptWeights = new Float32Array(kept.at(-1)!);
  for (let item = 0; item + 1 < offsets.length; item++) {
    const others = columns.subarray(offsets[item]!, offsets[item + 1]!);
    const row = Array.from(others, (other, i) => ({
      other,
      weight: similarity(item, other, weights[offsets[item]! + i]!),
    })).sort((a, b) => b.weight - a.weight);
    for (let at = kept[item]!; at < kept[item + 1]!; at++) {
      const { other, weight } = row[at - kept[item]!]!;
      keptColumns[at] = other;
      keptWeights[at] = weight;
    }
  }
  return { offsets: kept, columns: keptColumns, weights: keptWeights };
}

const smallestOf = (weights: Float32Array) => weights.reduce((a, b) => Math.min(a, b), 1);
