/** SQL repositories, one per table family: plain functions whose first argument is the database. */
export {
  countInteractions,
  deleteInteractions,
  insertInteractions,
  readInteractions,
  recentInteractions,
  recentInteractionsOfMany,
  newestEventMs,
  seenItems,
  untracedItems,
  streamInteractions,
  type InsertOutcome,
  type Interaction,
  type InteractionCounts,
  type StreamOptions,
} from './interactions.js';
export {
  countItems,
  deleteItems,
  getItem,
  getItems,
  getStoredItems,
  streamItems,
  upsertItems,
  type StoredItem,
} from './items.js';
export { catalogueAsOf } from './catalogue-as-of.js';
export { markDeleted } from './deleted-items.js';
export {
  deleteUserStates,
  getUserState,
  getUserStates,
  lockUserStates,
  streamUserStates,
  upsertUserStates,
  type StoredUserState,
  type UserState,
} from './user-states.js';
export { nextUsers, sampleActiveUsers, sampleStates, sampleUsers } from './user-samples.js';
export { readInSnapshot } from './snapshot.js';
export {
  getPublishedVectors,
  getVectorsRevision,
  lockVectors,
  recordVectorChanges,
  restartVectorRevisions,
  lockVectorsShared,
  type PublishedVectors,
} from './vector-revisions.js';
export {
  getNextOffsets,
  getPinnedPartitions,
  getPositions,
  lockPosition,
  pinPartitions,
  savePosition,
  type Position,
} from './positions.js';
export {
  countRejectsByReason,
  countUnreplayedRejects,
  countUnsentRejects,
  getReject,
  insertRejects,
  listRejects,
  listRejectSummaries,
  markRejectsReplayed,
  markRejectsSent,
  purgeRejects,
  unreplayedRejects,
  unsentRejects,
  type PageLimits,
  type Reject,
  type RejectFilter,
  type RejectSummary,
  type ReplayFilter,
  type StoredReject,
} from './rejects.js';
export {
  eraseEvents,
  eraseUsers,
  eventKeyText,
  hashErasure,
  lockTombstones,
  readTombstones,
  type ErasedBy,
  type EventKey,
  type LogPlace,
  type Removal,
  type Removed,
  type Tombstones,
} from './erasures.js';
export {
  appliedErasures,
  findErasure,
  nameRejectSubjects,
  recordErasures,
  type AppliedErasure,
  type ErasureStatus,
  type RejectSubject,
} from './erasure-receipts.js';
export { releaseDeadLetterLease, takeDeadLetterLease } from './dead-letter-lease.js';
export { noteNewItems, refreshPopularity, topItems, type ItemPopularity } from './popularity.js';
export { ensureDefaultTiers, listTiers, removeTier, upsertTier } from './tiers.js';
export { generateApiKey, hashApiKey, publicIdOf, type GeneratedKey } from './api-key-format.js';
export {
  changeClient,
  createApiKey,
  MAX_LIVE_KEYS,
  rotateApiKey,
  type ClientChange,
  type Rotation,
} from './clients.js';
export {
  findApiKey,
  listApiKeys,
  revokeApiKey,
  touchApiKey,
  type ApiKey,
  type KeyLookup,
  type NewApiKey,
} from './api-keys.js';
export {
  announceServed,
  getPublished,
  getServed,
  getVersion,
  listVersions,
  PUBLISHED_CHANNEL,
  registerVersion,
  removeVersion,
  shareVectors,
  unshareVectors,
  swapPublished,
  type ModelVersion,
  type PublishedPointer,
  type VersionStatus,
} from './model-versions.js';
export {
  beginPublishRun,
  endPublishRun,
  getPublishRun,
  reportPublishRun,
  type PublishRun,
  type PublishState,
} from './publish-runs.js';
export { createItemVectorCache, type ItemVectorCache } from './item-vector-cache.js';
export {
  assertVersion,
  itemVectorsIndex,
  itemVectorsPrefix,
  itemVectorsTable,
  listItemVectorTables,
  vectorsVersionOf,
} from './item-vectors.js';
export {
  newestPublishReport,
  newestPublishReports,
  recordPublishReport,
  type PublishReportDraft,
} from './publish-reports.js';
export {
  NO_RETRIEVAL_FACTS,
  setRetrievalFacts,
  type MeasuredPlan,
  type RetrievalFacts,
  type StoredIndex,
} from './vector-search/retrieval-facts.js';
export { indexName, indexSql, MAX_DIM, type IndexForm } from './vector-search/index-form.js';
export {
  exactSearch,
  type Access,
  type Condition,
  type ScoreMeasure,
  type VectorSearch,
} from './vector-search/vector-search.js';
export { indexSearch, type IndexSearch } from './vector-search/index-statement.js';
export { joinedStatement, STATEMENT_COLUMN } from './vector-search/joined-statement.js';
export {
  boundSearch,
  NORMS_COLUMN,
  normsColumn,
  type BoundSearch,
} from './vector-search/bound-statement.js';
export {
  sqlParameters,
  type SqlParameters,
  type Statement,
} from './vector-search/sql-parameters.js';
export {
  erasuresAfter,
  readErasureProof,
  weightsErasures,
  type LaterErasures,
} from './erasure-proof.js';
export {
  cancelTrainingRun,
  getTrainingRun,
  lastTrainingSuccess,
  listLeftVersions,
  listTrainingRuns,
  queueOneTrainingRun,
  queueTrainingRun,
  type TrainingRequest,
  type TrainingRun,
} from './training-runs.js';
export {
  beatTrainingRun,
  claimTrainingRun,
  endTrainingRun,
  markTrainingPublished,
  nameTrainingVersion,
  type Claim,
  type ClaimOptions,
  type HeldRun,
  type TrainingHolder,
} from './training-lease.js';
