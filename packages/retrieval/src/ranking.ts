/**
 * From scored candidates to the ranked list of an answer. Pure.
 *
 * Scores are rounded before they are ordered, so that what a client sees is ordered by what it sees:
 * score descending, then item id in byte order.
 */
import type { RankedItem } from '@nestrec/contracts';

export interface Candidate {
  readonly itemId: string;
  readonly score: number;
}

/** Digits behind the point: enough to order lists, too few to give a model away (reliability.md, 3). */
export const SCORE_DECIMALS = 5;

/** Of reciprocal rank fusion: Cormack, Clarke, Buettcher, SIGIR 2009. */
const RRF_OFFSET = 60;

export function roundScore(score: number): number {
  const scale = 10 ** SCORE_DECIMALS;
  const rounded = Math.round(score * scale) / scale;
  return rounded === 0 ? 0 : rounded; // never -0
}

/** The best `k`, ranks from 1; any order of candidates gives the same list. */
export function rankCandidates(candidates: readonly Candidate[], k: number): RankedItem[] {
  return candidates
    .map(({ itemId, score }) => ({ item_id: itemId, score: roundScore(score) }))
    .sort((a, b) => b.score - a.score || compareIds(a.item_id, b.item_id))
    .slice(0, k)
    .map((item, index) => ({ ...item, rank: index + 1 }));
}

/**
 * Fuses ranked lists without comparing their scores: each item gets the sum over lists of
 * 1 / (60 + its rank there), 0 where a list does not hold it.
 */
export function fuseRanks(lists: readonly (readonly Candidate[])[]): Candidate[] {
  const fused = new Map<string, number>();
  for (const list of lists) {
    list.forEach(({ itemId }, index) => {
      fused.set(itemId, (fused.get(itemId) ?? 0) + 1 / (RRF_OFFSET + index + 1));
    });
  }
  return Array.from(fused, ([itemId, score]) => ({ itemId, score }));
}

/** Bytewise, as PostgreSQL compares under COLLATE "C". */
function compareIds(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
