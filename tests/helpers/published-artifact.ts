/**
 * Small artifacts to publish: random parameters, a fitted text encoder, one vector modality. Items are
 * `i0000`, `i0001`, ... with titles, so that new items can be embedded from text.
 */
import {
  MANIFEST_FORMAT_VERSION,
  type FeatureSpec,
  type Item,
  type ModelConfig,
  type ModelExit,
  type NamedArray,
  type QualityRow,
} from '@nestrec/contracts';
import {
  createFeaturizer,
  encodeItems,
  featureBlocks,
  fitTextEncoder,
  itemText,
} from '@nestrec/features';
import { initParameters, ITEM_RESIDUAL } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { hashItemIds, type Artifact } from '@nestrec/registry';
import { createCell } from '@nestrec/streaming';

export interface ArtifactShape {
  readonly version: string;
  readonly seed?: number;
  readonly items?: number;
  readonly sizes?: number[];
  readonly blocks?: number;
  readonly exits?: ModelExit[];
  /** Bounds of |lambda|: how long states remember. */
  readonly rMin?: number;
  readonly rMax?: number;
  /** Default: so long ago that any catalogue row is newer. */
  readonly createdAt?: string;
  /** NDCG@10 of every size on validation cases, 0.1 where it does not matter; null: not measured. */
  readonly ndcg?: number | null;
}

const COLOURS = ['red', 'green', 'blue', 'black', 'white', 'amber', 'violet'];
const THINGS = ['lamp', 'chair', 'kettle', 'brush', 'mirror', 'carpet', 'clock', 'drum', 'easel'];
export const IMAGE_WIDTH = 3;
const TEXT_WIDTH = 6;

export const itemIdOf = (index: number) => `i${String(index).padStart(4, '0')}`;

/** The catalogue's row of an item; every fifth has no image. */
export function catalogueItem(index: number, seed = 1): Item {
  const random = createRandom(seed * 100_003 + index);
  return {
    item_id: itemIdOf(index),
    title: `${COLOURS[index % COLOURS.length]} ${THINGS[index % THINGS.length]}`,
    brand: `maker ${index % 4}`,
    available: true,
    ...(index % 5 === 0
      ? {}
      : { features: { image: Array.from({ length: IMAGE_WIDTH }, () => random.normal()) } }),
  };
}

export function makeArtifact(shape: ArtifactShape): Artifact {
  const { version, seed = 1, items = 60, sizes = [4, 8, 16], blocks = 1 } = shape;
  const { rMin = 0.3, rMax = 0.6, ndcg = 0.1 } = shape;
  const spec: FeatureSpec = {
    modalities: [
      { name: 'text', width: TEXT_WIDTH, kind: 'text', normalisation: 'l2' },
      { name: 'image', width: IMAGE_WIDTH, kind: 'vector', normalisation: 'l2' },
    ],
    missingIndicators: true,
  };
  const catalogue = Array.from({ length: items }, (_, index) => catalogueItem(index));
  const encoder = fitTextEncoder(catalogue.map(itemText), { width: TEXT_WIDTH, seed: 5 });
  const featurizer = createFeaturizer(spec, encoder);
  const config: ModelConfig = {
    ...{ sizes, blocks, featureWidth: featurizer.width, numItems: items, useBias: true },
    ...{ itemResidual: true, scoreScale: true, rMin, rMax },
    ...(shape.exits === undefined ? {} : { exits: shape.exits }),
  };
  const random = createRandom(seed);
  const parameters = new Map<string, NamedArray>(initParameters(config, random));
  // Residuals as large as what features give, so that items of equal titles differ.
  const residual = parameters.get(ITEM_RESIDUAL)!;
  parameters.set(ITEM_RESIDUAL, {
    shape: residual.shape,
    data: Float32Array.from(residual.data, () => 0.5 * random.normal()),
  });
  const itemIds = catalogue.map((item) => item.item_id);
  const { lambdaMax, replayEvents } = createCell(config, parameters);
  return {
    ...{ parameters, itemIds, encoder, features: encodeItems(featurizer, catalogue) },
    manifest: {
      ...{
        formatVersion: MANIFEST_FORMAT_VERSION,
        version,
        nestrecVersion: '0.1.0',
        commit: null,
        seed,
        config,
      },
      createdAt: shape.createdAt ?? '2020-01-01T00:00:00.000Z',
      features: spec,
      itemIdsSha256: hashItemIds(itemIds),
      data: { users: 1, items, interactions: items, from: null, to: null },
      training: {},
      quality: ndcg === null ? [] : sizes.map((dim) => row(dim, ndcg)),
      ...{ lambdaMax, replayEvents },
      // Stands for the hash of the weights: another seed is another artifact.
      files: [{ name: 'weights.safetensors', bytes: 1, sha256: hashItemIds([`${seed} ${items}`]) }],
    },
  };
}

function row(dim: number, ndcg: number): QualityRow {
  return {
    ...{ scorer: `model@${dim}`, dim, protocol: 'leave-one-out', part: 'validation' },
    ...{ seenMasked: true, cases: 100, metrics: { 'ndcg@10': ndcg } },
  };
}

/** The same model, filling items that it has not learned from those most like them. */
export function fillingCold(artifact: Artifact): Artifact {
  const coldItems = { strength: 1.5, neighbours: 5, temperature: 0.1, threshold: 0.5 };
  const { features: spec, config } = artifact.manifest;
  const width = config.featureWidth;
  const metric = Float32Array.from({ length: width * width }, (_, at) =>
    at % (width + 1) === 0 ? 1 : 0,
  );
  const scales = Float32Array.from(
    { length: config.numItems * spec.modalities.length },
    (_, at) => {
      const row = Math.floor(at / spec.modalities.length) * width;
      const block = featureBlocks(spec)[at % spec.modalities.length]!;
      // Blocks have length 1, or are missing.
      const from = row + block.from;
      return artifact.features.subarray(from, from + block.width).some((v) => v !== 0) ? 1 : 0;
    },
  );
  const likeness = { metric, scales };
  return { ...artifact, manifest: { ...artifact.manifest, coldItems }, likeness };
}
