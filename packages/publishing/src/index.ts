/** Gate, embed all items, build the prefix indexes, swap the pointer, roll back, clean up. */
export {
  publishVersion,
  type PublishOptions,
  type PublishProgress,
  type PublishResult,
} from './publish-version.js';
export type { MeasureQuality } from './gate.js';
export { DEFAULT_MARGIN } from './quality-gate.js';
export type { DimReport } from './checked-indexes.js';
export { rollback, type RollbackOptions, type RollbackResult } from './pointer.js';
export type { CatchUpOptions } from './catch-up.js';
export type { CatalogueChanges } from './catalogue-changes.js';
export { cleanUpVectorTables, KEPT_PREVIOUS } from './clean-up.js';
export { publishingSettings } from './settings.js';
export { pruneVersions, type PruneOptions, type PruneResult } from './prune.js';
export {
  createEmbedderSource,
  embedItemInLiveVersions,
  removeItemFromLiveVersions,
  type EmbedderSource,
} from './live-items.js';
export {
  embedCatalogueInLiveVersions,
  prepareItems,
  type PreparedItems,
} from './live-item-batches.js';
export { createItemEmbedder, type ItemEmbedder } from './item-embedder.js';
export type { TierNeed } from './prefix-indexes.js';
export {
  SHORTLIST_FORMS,
  shortlistIndexOf,
  type ShortlistForm,
  type ShortlistIndex,
} from './plan-options.js';
