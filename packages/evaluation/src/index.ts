/** Ranking metrics and baselines; pure, imports nothing. */
export type { Histories, Scorer, TrainingHistories } from './types.js';
export {
  caseScorerOf,
  type Answers,
  type AskedCases,
  type CaseScorer,
  type WantedLists,
} from './answers.js';
export { topOf } from './top-of.js';
export { countItems } from './backoff.js';
export { byDay, byHistoryLength, byTargetPopularity, type CaseGroup } from './breakdowns.js';
export { measureLists, type ListContext, type ListMeasures } from './list-measures.js';
export { measureScoring, type ScoringTime } from './scoring-time.js';
export { fitItemKnn, type ItemKnnOptions } from './item-knn.js';
export {
  createRankingMetrics,
  DEFAULT_CUTOFFS,
  gainOfRank,
  metricsByCase,
  metricsOfRanks,
  type RankingMetrics,
} from './ranking.js';
export {
  bootstrapInterval,
  DEFAULT_LEVEL,
  DEFAULT_RESAMPLES,
  groupedBootstrap,
  resampleByGroup,
  type BootstrapOptions,
  type Interval,
  type MeanInterval,
  type Resamples,
} from './bootstrap.js';
export {
  fitCooccurrence,
  fitMarkov,
  fitPopularity,
  type CooccurrenceOptions,
} from './counting-baselines.js';
export { normaliseRows } from './rows.js';
export { countPairs, type PairCounts } from './pair-counts.js';
