/** Ranking metrics and baselines; pure, imports nothing. */
export type { Histories, Scorer, TrainingHistories } from './types.js';
export {
  createRankingMetrics,
  DEFAULT_CUTOFFS,
  gainOfRank,
  metricsOfRanks,
  rankCases,
  rankOfTarget,
  type RankingMetrics,
} from './ranking.js';
export {
  bootstrapInterval,
  groupedBootstrap,
  type BootstrapOptions,
  type Interval,
  type MeanInterval,
} from './bootstrap.js';
export {
  fitCooccurrence,
  fitMarkov,
  fitPopularity,
  type CooccurrenceOptions,
} from './counting-baselines.js';
export { createTextCosine, normaliseRows, type TextCosineOptions } from './text-cosine.js';
export { countPairs, type PairCounts } from './pair-counts.js';
