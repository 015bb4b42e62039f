/** Gate, embed all items, build the prefix indexes, swap the pointer, roll back, clean up. */
export {
  publishVersion,
  type PublishOptions,
  type PublishProgress,
  type PublishResult,
} from './publish-version.js';
export type { DimReport } from './checked-indexes.js';
export { rollback, type RollbackOptions, type RollbackResult } from './pointer.js';
export { cleanUpVectorTables, KEPT_PREVIOUS } from './clean-up.js';
export { pruneVersions, type PruneOptions, type PruneResult } from './prune.js';
export {
  createEmbedderSource,
  embedItemInLiveVersions,
  removeItemFromLiveVersions,
  type EmbedderSource,
} from './live-items.js';
export { createItemEmbedder, type ItemEmbedder } from './item-embedder.js';
export { indexedDims, MAX_INDEXED_DIM } from './prefix-indexes.js';
