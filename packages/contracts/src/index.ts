/** zod schemas and types of events, HTTP requests and answers, tiers, the model manifest. */
export type { NamedArray, NamedArrays } from './arrays.js';
export { idFault, idSchema, MAX_ID_BYTES } from './ids.js';
export {
  compareEvents,
  EARLIEST_TIMESTAMP_MS,
  EVENT_SCHEMA_VERSION,
  eventInputSchema,
  eventsAnswerSchema,
  eventsRequestSchema,
  isErasure,
  logEraseEventSchema,
  logEraseUserSchema,
  logEventSchema,
  logInteractionSchema,
  MAX_EVENTS_PER_REQUEST,
  MAX_FUTURE_MS,
  timestampSchema,
  type EventInput,
  type EventsAnswer,
  type EventsRequest,
  type LogEraseEvent,
  type LogEraseUser,
  type LogErasure,
  type LogEvent,
  type LogInteraction,
} from './events.js';
export { DEAD_LETTER_SCHEMA_VERSION, deadLetterSchema, type DeadLetter } from './dead-letters.js';
export {
  erasureAcceptedSchema,
  erasureAnswerSchema,
  receiptSchema,
  type ErasureAccepted,
  type ErasureAnswer,
} from './erasures.js';
export {
  itemInputSchema,
  itemSchema,
  itemWriteAnswerSchema,
  type Item,
  type ItemInput,
  type ItemWriteAnswer,
} from './items.js';
export {
  DEFAULT_K,
  MAX_K,
  MAX_SESSION_ITEMS,
  rankedItemSchema,
  recommendationsAnswerSchema,
  servedBySchema,
  sessionRequestSchema,
  type RankedItem,
  type RecommendationsAnswer,
  type ServedBy,
  type SessionRequest,
} from './recommendations.js';
export { planSchema, tierPlanSchema, type Plan, type TierPlan } from './plans.js';
export {
  DEFAULT_TIERS,
  overloadPolicySchema,
  scopeSchema,
  tierSchema,
  type OverloadPolicy,
  type Scope,
  type Tier,
} from './tiers.js';
export {
  keyAnswerSchema,
  keyCreatedSchema,
  keyRequestSchema,
  keysAnswerSchema,
  measuredQualitySchema,
  modelAnswerSchema,
  modelsAnswerSchema,
  publishAnswerSchema,
  tierAnswerSchema,
  tiersAnswerSchema,
  type KeyAnswer,
  type KeyCreated,
  type KeyRequest,
  type KeysAnswer,
  type MeasuredQuality,
  type ModelAnswer,
  type ModelsAnswer,
  type PublishAnswer,
  type TierAnswer,
  type TiersAnswer,
} from './operations.js';
export {
  estimateSchema,
  evaluationSchema,
  sizeComparisonSchema,
  type Estimate,
  type Evaluation,
  type SizeComparison,
} from './evaluation.js';
export {
  indexMeasurementSchema,
  publishReportSchema,
  tierVerdictSchema,
  type IndexMeasurement,
  type PublishReport,
  type TierVerdict,
} from './publish-reports.js';
export {
  trainingModeSchema,
  trainingOptionsSchema,
  trainingRunAnswerSchema,
  trainingRunRequestSchema,
  trainingRunsAnswerSchema,
  trainingRunStatusSchema,
  type TrainingMode,
  type TrainingOptions,
  type TrainingRunAnswer,
  type TrainingRunRequest,
  type TrainingRunsAnswer,
  type TrainingRunStatus,
} from './training-runs.js';
export { problemSchema, type Problem } from './problem.js';
export { modelConfigSchema, type ModelConfig, type ModelConfigInput } from './model-config.js';
export {
  featureSpecSchema,
  MANIFEST_FORMAT_VERSION,
  erasureProofSchema,
  manifestFileSchema,
  manifestSchema,
  metricsSchema,
  modalitySpecSchema,
  qualityRowSchema,
  type ErasureProof,
  type FeatureSpec,
  type Manifest,
  type Metrics,
  type ModalitySpec,
  type QualityRow,
} from './manifest.js';
