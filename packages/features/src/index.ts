/** Item features: text encoder, precomputed vectors, missing modalities. */
export { keepUntold } from './keep-untold.js';
export { itemText, type TextFields } from './item-text.js';
export { checkFeatureSpec, featureWidth } from './feature-spec.js';
export {
  createFeaturizer,
  encodeItems,
  type Featurizer,
  type FeatureSource,
} from './featurizer.js';
export {
  fitTextEncoder,
  restoreTextEncoder,
  type TextEncoder,
  type TextEncoderOptions,
} from './text-encoder.js';
export {
  readVectors,
  catalogueOrder,
  vectorsByItem,
  type ItemVectors,
  type ReadVectorsOptions,
} from './vector-files.js';
export { likenessOrder } from './likeness-order.js';
export { createColdFill, residualFrom, type ColdFill, type LearnedItems } from './cold-items.js';
export {
  indexLikeItems,
  type LikeItems,
  type LikeItemsIndex,
  type LikeItemsInput,
} from './like-items.js';
export { insertLikest } from './insert-likest.js';
export { featureBlocks, modalitiesOf, type FeatureBlock, type Likeness } from './likeness.js';
