/** From a user or a session and a tier to a ranked list. */
export {
  createRecommender,
  type ListRequest,
  type Recommender,
  type RecommenderOptions,
  type SessionRequest,
  type SimilarRequest,
  type UserRequest,
} from './recommender.js';
export {
  createPublishedModels,
  type FollowResult,
  type PublishedModel,
  type PublishedModels,
  type PublishedModelsOptions,
} from './published-models.js';
export { createWarmUp, type WarmUpOptions } from './warm-up.js';
export { withStepDown } from './with-step-down.js';
export { resolveDim, type DimRequest } from './dimensions.js';
export { SCORE_DECIMALS } from './ranking.js';
export { EXACT_MAX_ROWS } from './search.js';
export { measuredPlanOf } from './plans/planner.js';
export { MAX_SEEN_EVENTS } from './restriction.js';
export { filterMatcher, matchesFilter, type FilterableItem } from './filter-match.js';
export { EXPLAINED_EVENTS } from './because.js';
export { MAX_PAGED_ITEMS } from './cursor.js';
export type { ListOptions } from './list-options.js';
