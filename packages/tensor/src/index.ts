/** Chooses the TensorFlow.js backend and holds the fused operations with their gradients. */
export {
  adamWUpdate,
  createAdamW,
  globalNorm,
  type AdamW,
  type AdamWOptions,
  type RateFactors,
} from './adamw.js';
export {
  disposeTensors,
  fromNamedArrays,
  hostNumbers,
  toNamedArrays,
  type TensorMap,
} from './arrays.js';
export {
  selectBackend,
  surveyBackends,
  type BackendOptions,
  type BackendReport,
} from './backend.js';
export {
  activeBackend,
  BACKENDS,
  findBackend,
  isBackendName,
  LAST_RESORT,
  type BackendName,
} from './backend-list.js';
export { measureBackend, type BackendMeasurement } from './backend-measurements.js';
export {
  diagonalScan,
  diagonalScanBackward,
  lambdaOf,
  type Lambda,
  type ScanGradients,
} from './diagonal-scan.js';
export { gatedUnit, gatedUnitBackward, type GatedUnitGradients } from './gated-unit.js';
export {
  itemTable,
  itemTableBackward,
  type ItemTableGradients,
  type ItemTableInput,
} from './item-table.js';
export { addMasked, applyMask } from './masks.js';
export { traceOperations, type TracedOperation } from './trace.js';
export { dropoutMask, requireRates } from './dropout.js';
export {
  nestedCrossEntropy,
  type NestedCrossEntropy,
  type NestedCrossEntropyInput,
} from './nested-cross-entropy.js';
export {
  nestedLinear,
  nestedLinearBackward,
  nestedMask,
  type NestedLinearGradients,
  type NestedShape,
} from './nested-linear.js';
export { multiply, multiplyTransposed } from './products.js';
export { layOutRows, type PackedRows } from './packed-rows.js';
export { createRanker, type RankCases, type Ranker, type SizeRanks } from './ranker.js';
export { createTopLists, type ListCases, type TopLists } from './top-lists.js';
export { gatherTableRows, stepTableRows, type RowTable } from './row-table.js';
export { addRows, gatherRows, rowDots, scaleRows, scatterAddRows } from './rows.js';
export {
  columnSums,
  NORM_EPSILON,
  segmentNorm,
  segmentNormBackward,
  type SegmentNormForward,
  type SegmentNormGradients,
} from './segment-norm.js';
export {
  createSegmentMatrices,
  segmentIndex,
  spreadValues,
  type SegmentMatrices,
} from './segments.js';
export { WASM_HEAP_BYTES, WASM_HEAP_CURE } from './wasm-heap.js';
export { setNativeThreads } from './native/native-backend.js';
export { scoresAtOnce } from './score-blocks.js';
