/** What is known of an item from before, where nothing newer was said of it. */
import type { FeatureSpec } from '@nestrec/contracts';
import type { FeatureSource } from './featurizer.js';
import { itemText } from './item-text.js';

/**
 * What the catalogue does not say of a known item stays as it was trained: vectors are often imported for
 * training only, and an item without them is not an item that lost them.
 * @param feature the item as it is described now; changed in place
 * @param trained as the model was trained with it
 */
export function keepUntold(
  feature: Float32Array,
  trained: Float32Array,
  item: FeatureSource,
  spec: FeatureSpec,
): void {
  const blocksWidth = spec.modalities.reduce((sum, modality) => sum + modality.width, 0);
  let at = 0;
  spec.modalities.forEach(({ kind, name, width }, index) => {
    const told =
      kind === 'text'
        ? itemText(item) !== ''
        : item.features !== undefined && Object.hasOwn(item.features, name);
    if (!told) {
      feature.set(trained.subarray(at, at + width), at);
      if (spec.missingIndicators) feature[blocksWidth + index] = trained[blocksWidth + index]!;
    }
    at += width;
  });
}
