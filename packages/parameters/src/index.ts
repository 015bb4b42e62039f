/** Parameters of fMRLRec as plain arrays: names, shapes, initialisation, packing, slicing, item vectors. */
export { segmentsOf, type Segment } from './segments.js';
export {
  blockPrefix,
  initParameters,
  ITEM_PARAMETERS,
  ITEM_RESIDUAL,
  LOG_SCORE_SCALE,
  parameterShapes,
  PARAMS_LOG,
  PROJECTOR_BIAS,
  PROJECTOR_WEIGHT,
  requireParameter,
} from './parameters.js';
export { nestedShape, packArrays, unpackArrays, type PackedShape } from './packing.js';
export { embedItem, itemVectors } from './item-vectors.js';
export { lambdaMax, replayEvents } from './memory.js';
export { sliceParameters, type SlicedModel } from './slice.js';
