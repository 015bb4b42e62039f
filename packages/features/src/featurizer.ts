/**
 * An item to its feature vector f = [modality blocks..., missing indicators...].
 *
 * A modality that an item lacks (no text with a known term, no vector, or a vector of zeros, which has
 * no direction) is a block of zeros with its indicator at 1: the indicator's column of P is what the
 * model learns about such items.
 */
import type { FeatureSpec, Item, ModalitySpec } from '@nestrec/contracts';
import { excerpt, InvalidRequest } from '@nestrec/errors';
import { checkFeatureSpec, featureWidth } from './feature-spec.js';
import { itemText } from './item-text.js';
import type { TextEncoder } from './text-encoder.js';

export type FeatureSource = Pick<Item, 'title' | 'brand' | 'categories'> & {
  /** Precomputed vectors by modality. */
  readonly features?: Readonly<Record<string, ArrayLike<number>>> | undefined;
};

export interface Featurizer {
  /** F */
  readonly width: number;
  /** [F]. Throws `InvalidRequest` for a vector of the wrong width or with a number that is not finite. */
  encode(item: FeatureSource): Float32Array;
}

/** Throws `InvalidModelConfig` when the spec contradicts itself or the encoder. */
export function createFeaturizer(spec: FeatureSpec, encoder: TextEncoder | null): Featurizer {
  checkFeatureSpec(spec, encoder?.width ?? null);
  const width = featureWidth(spec);
  const blocksWidth = spec.modalities.reduce((sum, modality) => sum + modality.width, 0);
  const encode = (item: FeatureSource): Float32Array => {
    const result = new Float32Array(width);
    let at = 0;
    spec.modalities.forEach((modality, index) => {
      const vector =
        modality.kind === 'text' ? encoder!.encode(itemText(item)) : ownVector(item, modality);
      const present = vector !== null && writeBlock(result, at, vector, modality);
      if (!present && spec.missingIndicators) result[blocksWidth + index] = 1;
      at += modality.width;
    });
    return result;
  };
  return { width, encode };
}

/** N x F, row r from item r. */
export function encodeItems(featurizer: Featurizer, items: readonly FeatureSource[]): Float32Array {
  const matrix = new Float32Array(items.length * featurizer.width);
  items.forEach((item, r) => matrix.set(featurizer.encode(item), r * featurizer.width));
  return matrix;
}

function ownVector(item: FeatureSource, modality: ModalitySpec): ArrayLike<number> | null {
  const { features } = item;
  if (features === undefined || !Object.hasOwn(features, modality.name)) return null;
  const vector = features[modality.name]!;
  const path = `features.${modality.name}`;
  if (vector.length !== modality.width) {
    throw new InvalidRequest({
      detail:
        `${excerpt(path)} has ${vector.length} numbers; the model was trained with ` +
        `${modality.width}. Send a vector of that width, or leave the modality out.`,
      fields: [{ path, got: `${vector.length} numbers`, want: `${modality.width} numbers` }],
    });
  }
  for (let i = 0; i < vector.length; i++) {
    if (!Number.isFinite(vector[i])) {
      throw new InvalidRequest({
        detail: `${excerpt(path)} has ${String(vector[i])} at index ${i}; finite numbers are wanted.`,
        fields: [{ path: `${path}[${i}]`, got: String(vector[i]), want: 'a finite number' }],
      });
    }
  }
  return vector;
}

/** Whether the block has a direction; if not, it stays zero. */
function writeBlock(
  result: Float32Array,
  at: number,
  vector: ArrayLike<number>,
  modality: ModalitySpec,
): boolean {
  let largest = 0;
  for (let i = 0; i < vector.length; i++) largest = Math.max(largest, Math.abs(vector[i]!));
  if (largest === 0) return false;
  // Divided by the largest entry first: squares of huge or tiny numbers would leave the range.
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += (vector[i]! / largest) ** 2;
  const scale = modality.normalisation === 'l2' ? 1 / Math.sqrt(squares) / largest : 1;
  for (let i = 0; i < vector.length; i++) result[at + i] = vector[i]! * scale;
  return true;
}
