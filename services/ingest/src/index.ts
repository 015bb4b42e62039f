/** Consumes events from the log into interactions and states. */
export {
  createIngest,
  DEFAULT_INGEST_SETTINGS,
  type Ingest,
  type IngestDeps,
  type IngestSettings,
} from './ingest.js';
export {
  artifactModels,
  steppingModel,
  type LoadModel,
  type SteppingModel,
} from './model-source.js';
export type { LogPosition } from './progress.js';
export { parseRecord, type Fault, type RejectReason } from './record-parsing.js';
export {
  examineState,
  isFault,
  readEvidence,
  repairState,
  type ExaminedState,
  type StateEvidence,
  type StateFinding,
} from './state-verification.js';
export {
  createDeadLetterForwarder,
  DEFAULT_DEAD_LETTER_SETTINGS,
  type DeadLetterForwarder,
  type DeadLetterSettings,
} from './dead-letters.js';
export { REJECT_REASONS } from './reject-reasons.js';
export { replayRejects, type ReplayOptions, type ReplaySummary } from './replay-rejects.js';
export { applySettings, ingestConfig, type IngestConfig } from './config.js';
export { runIngest, type RunningIngest } from './run.js';
