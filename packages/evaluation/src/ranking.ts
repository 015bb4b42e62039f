/**
 * Ranks and ranking metrics over the whole catalogue (never sampled).
 *
 * Tie rule: the target stands behind every item of equal score (rank = 1 + items whose score is not
 * smaller), and a score that is not a number counts as larger. So a scorer that gives everything the same
 * score earns nothing, and no order of ids can lend it anything.
 */

/** Rank of `target` from 1, among items 1..N. */
export function rankOfTarget(scores: Float32Array, target: number): number {
  const bar = scores[target]!;
  let rank = 0;
  // The target itself is counted, which is the 1 of "1 + ..."; a NaN target counts everything.
  for (let i = 1; i < scores.length; i++) if (!(scores[i]! < bar)) rank++;
  return rank;
}

export interface RankingMetrics {
  add(rank: number): void;
  /** Cases added so far. */
  readonly cases: number;
  /** `recall@5`, `ndcg@5`, `mrr@5`, ... : means over the cases (0 when there are none). */
  result(): Record<string, number>;
}

export const DEFAULT_CUTOFFS: readonly number[] = [5, 10, 20, 50];

/** NDCG@k of one case: with one relevant item it is the gain at that item's rank. */
export function gainOfRank(rank: number, cutoff: number): number {
  return rank <= cutoff ? 1 / Math.log2(rank + 1) : 0;
}

/**
 * One relevant item a case, so that with rank r <= k: recall@k = 1, ndcg@k = 1 / log2(r + 1),
 * mrr@k = 1 / r; all 0 beyond k.
 */
export function createRankingMetrics(cutoffs: readonly number[] = DEFAULT_CUTOFFS): RankingMetrics {
  const recall = new Float64Array(cutoffs.length);
  const ndcg = new Float64Array(cutoffs.length);
  const mrr = new Float64Array(cutoffs.length);
  let cases = 0;
  return {
    get cases() {
      return cases;
    },
    add(rank) {
      if (!(rank >= 1)) throw new RangeError(`rank is ${rank}; wanted a number from 1`);
      cases++;
      for (let c = 0; c < cutoffs.length; c++) {
        if (rank > cutoffs[c]!) continue;
        recall[c]! += 1;
        ndcg[c]! += gainOfRank(rank, cutoffs[c]!);
        mrr[c]! += 1 / rank;
      }
    },
    result() {
      const out: Record<string, number> = {};
      const mean = (sum: number) => (cases === 0 ? 0 : sum / cases);
      cutoffs.forEach((cutoff, c) => {
        out[`recall@${cutoff}`] = mean(recall[c]!);
        out[`ndcg@${cutoff}`] = mean(ndcg[c]!);
        out[`mrr@${cutoff}`] = mean(mrr[c]!);
      });
      return out;
    },
  };
}

/** Metrics of many ranks at once. */
export function metricsOfRanks(
  ranks: Iterable<number>,
  cutoffs: readonly number[] = DEFAULT_CUTOFFS,
): Record<string, number> {
  const metrics = createRankingMetrics(cutoffs);
  for (const rank of ranks) metrics.add(rank);
  return metrics.result();
}

/** The same metrics case by case: what a bootstrap draws from. */
export function metricsByCase(
  ranks: Int32Array,
  cutoffs: readonly number[] = DEFAULT_CUTOFFS,
): Record<string, Float64Array> {
  const column = (of: (rank: number) => number) => Float64Array.from(ranks, of);
  return Object.fromEntries(
    cutoffs.flatMap((cutoff) => [
      [`recall@${cutoff}`, column((rank) => Number(rank <= cutoff))],
      [`ndcg@${cutoff}`, column((rank) => gainOfRank(rank, cutoff))],
      [`mrr@${cutoff}`, column((rank) => (rank <= cutoff ? 1 / rank : 0))],
    ]),
  );
}
