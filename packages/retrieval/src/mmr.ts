/**
 * Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): a list whose items are good and unlike
 * one another. Pure.
 *
 * Each place goes to the item with the greatest (1 - d) relevance - d likeness, likeness being the greatest
 * cosine with an item that is in the list already. Relevance is the score, moved to 0 to 1 over the
 * candidates, so that it is of the order of a cosine.
 */
import type { RankedItem } from '@nestrec/contracts';

export interface Diversify {
  /** Best first. */
  readonly candidates: readonly RankedItem[];
  /** Items that stand in the list already: those of earlier pages. */
  readonly before: readonly string[];
  /** Vectors at the size that is served; an item without one is like no other. */
  readonly vectors: ReadonlyMap<string, Float32Array>;
  readonly k: number;
  /** d, 0 to 1: 0 keeps the order. */
  readonly diversity: number;
}

/** The `k` items chosen, in order; ranks are left as they were. */
export function diversify({ candidates, before, vectors, k, diversity }: Diversify): RankedItem[] {
  const unit = new Map(Array.from(vectors, ([id, vector]) => [id, normalised(vector)]));
  const relevance = relevanceOf(candidates);
  const likeness = new Float64Array(candidates.length).fill(Number.NEGATIVE_INFINITY);
  const taken = new Uint8Array(candidates.length);
  const chosen: RankedItem[] = [];
  const add = (itemId: string) => {
    const vector = unit.get(itemId);
    candidates.forEach((candidate, i) => {
      if (taken[i] === 1) return;
      likeness[i] = Math.max(likeness[i]!, cosine(vector, unit.get(candidate.item_id)));
    });
  };
  before.forEach(add);
  while (chosen.length < Math.min(k, candidates.length)) {
    let best = -1;
    let bestWorth = Number.NEGATIVE_INFINITY;
    candidates.forEach((_, i) => {
      if (taken[i] === 1) return;
      const alike = likeness[i] === Number.NEGATIVE_INFINITY ? 0 : likeness[i]!;
      const worth = (1 - diversity) * relevance[i]! - diversity * alike;
      // Of equals the better ranked stays: candidates come in order.
      if (worth > bestWorth) [best, bestWorth] = [i, worth];
    });
    taken[best] = 1;
    chosen.push(candidates[best]!);
    add(candidates[best]!.item_id);
  }
  return chosen;
}

function relevanceOf(candidates: readonly RankedItem[]): number[] {
  const greatest = candidates[0]?.score ?? 0;
  const least = candidates.at(-1)?.score ?? 0;
  const range = greatest - least;
  return candidates.map(({ score }) => (range > 0 ? (score - least) / range : 1));
}

function normalised(vector: Float32Array): Float32Array {
  const norm = Math.hypot(...vector);
  return norm > 0 ? vector.map((x) => x / norm) : vector;
}

function cosine(a: Float32Array | undefined, b: Float32Array | undefined): number {
  if (a === undefined || b === undefined) return 0;
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
