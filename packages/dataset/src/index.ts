/** Importers, splits and packed batches. */
export type {
  BatchStream,
  EvaluationCases,
  EvaluationPart,
  PackedBatch,
  Ragged,
  SequenceDataset,
  Split,
  SplitReport,
} from './types.js';
export { buildDataset, type BuildDatasetOptions, type DatasetRow } from './build-dataset.js';
export { EVENTS_IN_MEMORY, Spill, type SpillOptions } from './spill.js';
export { Histories } from './histories.js';
export { inOrder, type Numbers } from './numbers.js';
export { filterDataset, type DatasetFilter, type FilteredDataset } from './filter-dataset.js';
export type { CaseSampling } from './cases.js';
export { splitLeaveOneOut } from './split-leave-one-out.js';
export { splitTemporal, type TemporalCuts, type TemporalSplitOptions } from './split-temporal.js';
export { countPackedBatches, packedBatches, type PackedBatchOptions } from './packed-batches.js';
export { openBatches, type BatchStreamOptions } from './batch-stream.js';
export { historiesOf, packHistories, type PackedHistories } from './pack-histories.js';
export { withAlreadyStored, withErased } from './import/summary.js';
export { importInteractions } from './import/interactions.js';
export { importItems } from './import/items.js';
export type {
  ColumnMapping,
  ImportOptions,
  ImportSummary,
  InteractionImport,
  InteractionImportOptions,
  InteractionImportSummary,
  InteractionRow,
  InteractionSource,
  ItemImport,
  ItemImportOptions,
  ItemImportSummary,
  Reject,
  TableFormat,
  TimeUnit,
} from './import/types.js';
