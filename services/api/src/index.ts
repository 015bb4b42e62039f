/** The HTTP API. */
export { createApi, type Api } from './api.js';
export type {
  ApiDeps,
  CatalogueStore,
  ErasureStore,
  EventAppender,
  KeyStore,
  LogPosition,
  ModelStore,
  Publisher,
  Ranking,
  Recommender,
  StoredModel,
  TierStore,
  TrainingRunStore,
  WaitForEvents,
} from './deps.js';
export { createEventWaiter } from './events/wait-for-events.js';
export { assertListenable } from './http/server.js';
export { createOpenApiDocument, createOpenApiJson } from './openapi/document.js';
export { routes } from './routes/index.js';
export { presentKey } from './routes/present-key.js';
export { presentTrainingRun } from './routes/present-training-run.js';
export { DEFAULT_API_SETTINGS, type ApiSettings } from './settings.js';
export {
  createCatalogueStore,
  createErasureStore,
  createKeyStore,
  createModelStore,
  createStoreChecks,
  createTierStore,
  createTrainingRunStore,
  type LiveVersions,
} from './stores.js';
export { createPublisher, type PublisherOptions } from './publisher.js';
export { apiConfig, limitSettings, type ApiConfig } from './config.js';
export { composeDeps, runApi, type RunningApi } from './run.js';
