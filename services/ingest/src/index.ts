/** Consumes events from the log into interactions and states. */
export {
  createIngest,
  DEFAULT_INGEST_SETTINGS,
  type Ingest,
  type IngestDeps,
  type IngestSettings,
} from './ingest.js';
export { artifactModels, type LoadModel, type SteppingModel } from './model-source.js';
export type { LogPosition } from './progress.js';
export { parseRecord, type Fault, type RejectReason } from './record-parsing.js';
export { applySettings, ingestConfig, type IngestConfig } from './config.js';
export { runIngest, type RunningIngest } from './run.js';
