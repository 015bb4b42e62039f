/**
 * Positive pointwise mutual information of items that stand near one another in histories (Levy & Goldberg, NIPS
 * 2014; context smoothing of Levy, Goldberg & Dagan, TACL 2015), symmetric, as compressed sparse rows.
 */
import { countPairs, type PairCounts, type TrainingHistories } from '@nestrec/evaluation';

/** Items further apart than this do not count as near. */
const REACH = 5;
/** Weight of a pair g steps apart: DECAY^(g - 1). */
const DECAY = 0.5;
/** Frequencies of contexts count by this power, so that rare pairs do not lead. */
const CONTEXT_POWER = 0.75;

/** Row i holds the positive PMI of item i (1 to `itemCount`) with others. */
export function positivePmi(histories: TrainingHistories, itemCount: number): PairCounts {
  const pairs = countPairs(histories, itemCount, {
    ...{ before: REACH, after: REACH, itself: false, decay: DECAY },
  });
  const { offsets, columns, weights } = pairs;
  const sums = new Float64Array(itemCount + 1);
  for (let i = 1; i <= itemCount; i++)
    for (let at = offsets[i]!; at < offsets[i + 1]!; at++) sums[i]! += weights[at]!;
  const total = sums.reduce((a, b) => a + b, 0);
  const contexts = sums.map((sum) => sum ** CONTEXT_POWER);
  const contextTotal = contexts.reduce((a, b) => a + b, 0);
  // log p(i) and log of the smoothed p(i); the mean of both ways round keeps the matrix symmetric.
  const logs = sums.map((sum, i) =>
    sum === 0 ? 0 : (Math.log(sum / total) + Math.log(contexts[i]! / contextTotal)) / 2,
  );
  const kept = new Float32Array(weights.length);
  for (let i = 1; i <= itemCount; i++)
    for (let at = offsets[i]!; at < offsets[i + 1]!; at++) {
      const pmi = Math.log(weights[at]! / total) - logs[i]! - logs[columns[at]!]!;
      kept[at] = Math.max(0, pmi);
    }
  return { offsets, columns, weights: kept };
}
