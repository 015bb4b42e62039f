/**
 * Item features of a run: made anew, or as the version defines them that the run goes on with. A warm start
 * keeps feature specification and encoder: with others the projector's numbers would mean something else.
 */
import type { FeatureSpec, ModalitySpec } from '@nestrec/contracts';
import { InvalidInput } from '@nestrec/errors';
import {
  createFeaturizer,
  encodeItems,
  fitTextEncoder,
  itemText,
  keepUntold,
  type FeatureSource,
  type TextEncoder,
} from '@nestrec/features';
import type { Artifact } from '@nestrec/registry';

const TEXT = 'text';

export interface ItemFeatures {
  readonly spec: FeatureSpec;
  readonly encoder: TextEncoder | null;
  /** N x F, row r from source r. */
  readonly features: Float32Array;
}

export interface FeatureOptions {
  /** Width of the fitted text encoder's vectors. */
  readonly textWidth: number;
  readonly seed: number;
}

/** @throws InvalidInput for vectors of several widths in one modality */
export function newFeatures(
  sources: readonly FeatureSource[],
  options: FeatureOptions,
): ItemFeatures {
  const widths = vectorWidths(sources);
  // Imported text vectors take the place of the built-in encoder: there is one text modality.
  const encoder = widths.has(TEXT) ? null : fitEncoder(sources, options);
  const spec = featureSpec(widths, encoder);
  return { spec, encoder, features: encodeItems(createFeaturizer(spec, encoder), sources) };
}

/**
 * Features of items as `base` defines them. What the catalogue does not say of an item that `base` knows stays
 * as it was trained.
 * @param onIgnored told of a modality that `base` does not have
 * @throws InvalidInput for vectors that do not fit its specification
 */
export function featuresOfBase(
  sources: readonly FeatureSource[],
  itemIds: readonly string[],
  base: Artifact,
  onIgnored: (modality: string) => void,
): ItemFeatures {
  const { features: spec, version } = base.manifest;
  for (const [name, width] of vectorWidths(sources)) {
    const wanted = spec.modalities.find((modality) => modality.name === name);
    if (wanted === undefined) onIgnored(name);
    else if (wanted.kind !== 'vector' || wanted.width !== width) {
      const has = wanted.kind === 'vector' ? `vectors of ${wanted.width}` : 'its own text encoder';
      throw new InvalidInput({
        detail: `Modality "${name}" has vectors of ${width} numbers, version ${version} has ${has}: its parameters cannot be taken over. Train in full.`,
      });
    }
  }
  const featurizer = createFeaturizer(spec, base.encoder);
  const features = encodeItems(featurizer, sources);
  const { width } = featurizer;
  const rowOf = new Map(base.itemIds.map((id, row) => [id, row]));
  itemIds.forEach((id, row) => {
    const known = rowOf.get(id);
    if (known === undefined) return;
    const trained = base.features.subarray(known * width, (known + 1) * width);
    keepUntold(features.subarray(row * width, (row + 1) * width), trained, sources[row]!, spec);
  });
  return { spec, encoder: base.encoder, features };
}

/** Null where no item has a text. */
function fitEncoder(
  sources: readonly FeatureSource[],
  { textWidth, seed }: FeatureOptions,
): TextEncoder | null {
  const texts = sources.map(itemText);
  if (texts.every((text) => text === '')) return null;
  return fitTextEncoder(texts, { width: Math.min(textWidth, sources.length), seed });
}

/** The modalities that the items have: text first, then imported vectors by name. */
function featureSpec(
  widths: ReadonlyMap<string, number>,
  encoder: TextEncoder | null,
): FeatureSpec {
  const vectors = [...widths].map(([name, width]): ModalitySpec => ({
    name,
    width,
    kind: 'vector',
    normalisation: 'l2',
  }));
  const modalities: ModalitySpec[] =
    encoder === null
      ? vectors
      : [{ name: TEXT, width: encoder.width, kind: 'text', normalisation: 'l2' }, ...vectors];
  const byName = (a: ModalitySpec, b: ModalitySpec) =>
    Number(b.name === TEXT) - Number(a.name === TEXT) || (a.name < b.name ? -1 : 1);
  return { modalities: modalities.sort(byName), missingIndicators: true };
}

function vectorWidths(sources: readonly FeatureSource[]): Map<string, number> {
  const widths = new Map<string, number>();
  for (const { features } of sources) {
    for (const [name, vector] of Object.entries(features ?? {})) {
      const known = widths.get(name);
      if (known !== undefined && known !== vector.length) {
        throw new InvalidInput({
          detail: `Modality "${name}" has vectors of ${known} and of ${vector.length} numbers; wanted one width. Import its vectors anew.`,
        });
      }
      widths.set(name, vector.length);
    }
  }
  return widths;
}

/** The text block of every row: the first modality, where it is text. */
export function textBlock(features: Float32Array, rowWidth: number, { modalities }: FeatureSpec) {
  const first = modalities[0];
  if (first?.name !== TEXT) return null;
  const rows = features.length / rowWidth;
  const vectors = new Float32Array(rows * first.width);
  for (let r = 0; r < rows; r++) {
    vectors.set(features.subarray(r * rowWidth, r * rowWidth + first.width), r * first.width);
  }
  return { vectors, width: first.width };
}
