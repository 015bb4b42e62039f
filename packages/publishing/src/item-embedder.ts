/**
 * An artifact's way from an item to its vector E_i = P f_i + p + R_i.
 *
 * Items that the model has learned take their residual R_i; others one that is filled from the learned items most like
 * them (decision 0039), or none where nothing is like them. What cannot be scored has no vector: an item that the model
 * does not know where the model has no item features, and (at no size) anything whose vector is zero or not finite.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Item } from '@nestrec/contracts';
import { excerpt, PublishRefused } from '@nestrec/errors';
import { createFeaturizer, keepUntold, likenessOrder } from '@nestrec/features';
import { embedItem, ITEM_RESIDUAL } from '@nestrec/parameters';
import { coldFillOf, type Artifact } from '@nestrec/registry';
import type { VectorRow } from './vector-table.js';

export interface ItemEmbedder {
  readonly version: string;
  /** N, the model's own items. */
  readonly trainedItems: number;
  /** The model's own items of these rows, from the features they were trained with. */
  embedTrained(rows: Iterable<number>): VectorRow[];
  /** The rows of the model's own items, like ones beside each other; others are answered meanwhile. */
  orderTrained(): Promise<Uint32Array>;
  /**
   * An item as the catalogue describes it now; null when the model has no way to score it.
   * @throws InvalidRequest for feature vectors of another width than the model's
   */
  embedCatalogue(item: Item): VectorRow | null;
}

/** Coordinates by which items are ordered, at most: what makes items alike stands in the first ones. */
const ORDERED_DIM = 32;

/** Indexes the learned items where the model fills cold ones; others are answered meanwhile. */
export async function createItemEmbedder(artifact: Artifact): Promise<ItemEmbedder> {
  const { manifest, parameters, features, itemIds, encoder } = artifact;
  const { config } = manifest;
  const dim = config.sizes.at(-1)!;
  const featurizer = createFeaturizer(manifest.features, encoder);
  const rowOf = new Map(itemIds.map((itemId, row) => [itemId, row]));
  const fill = await coldFillOf(artifact);
  return {
    version: manifest.version,
    trainedItems: itemIds.length,
    embedTrained: (rows) =>
      Array.from(rows, (row) => ({
        itemId: itemIds[row]!,
        vector: checked(itemIds[row]!, trainedVector(artifact, row, dim), config.sizes),
        trained: true,
      })),
    orderTrained: async () => {
      const width = config.sizes.findLast((size) => size <= ORDERED_DIM) ?? config.sizes[0]!;
      return likenessOrder(await trainedPrefixes(artifact, width), width);
    },
    embedCatalogue: (item) => {
      const row = rowOf.get(item.item_id);
      if (row === undefined && config.featureWidth === 0) return null;
      const feature = featurizer.encode(item);
      if (row !== undefined) {
        const trained = features.subarray(row * featurizer.width, (row + 1) * featurizer.width);
        keepUntold(feature, trained, item, manifest.features);
      }
      const residual = isLearned(artifact, row)
        ? residualOf(artifact, row)
        : (fill?.residualOf(feature) ?? undefined);
      const vector = embedItem(config, parameters, feature, residual);
      return {
        itemId: item.item_id,
        vector: checked(item.item_id, vector, config.sizes),
        trained: row !== undefined,
      };
    },
  };
}

const isLearned = ({ learned }: Artifact, row: number | undefined): row is number =>
  row !== undefined && learned?.[row] !== 0;

/** The first `width` coordinates of a model's own item. */
function trainedVector(artifact: Artifact, row: number, width: number): Float32Array {
  const { manifest, parameters, features } = artifact;
  const { featureWidth } = manifest.config;
  const feature = features.subarray(row * featureWidth, (row + 1) * featureWidth);
  return embedItem(manifest.config, parameters, feature, residualOf(artifact, row), width);
}

/** Of all the model's own items, N x width. */
async function trainedPrefixes(artifact: Artifact, width: number): Promise<Float32Array> {
  const { featureWidth } = artifact.manifest.config;
  const count = artifact.itemIds.length;
  const batch = embeddingBatch(featureWidth, width);
  const all = new Float32Array(count * width);
  for (let row = 0; row < count; row++) {
    all.set(trainedVector(artifact, row, width), row * width);
    if (row % batch === batch - 1) await nextTurn();
  }
  return all;
}

/** R_i of the model's row; undefined where the model has none. */
function residualOf(artifact: Artifact, row: number): Float32Array | undefined {
  const dim = artifact.manifest.config.sizes.at(-1)!;
  return artifact.parameters.get(ITEM_RESIDUAL)?.data.subarray(row * dim, (row + 1) * dim);
}

/** Rows of one batch, so that a batch of plain arithmetic holds the process up for about 20 ms. */
export function embeddingBatch(featureWidth: number, dim: number): number {
  return Math.min(1_000, Math.max(16, Math.floor(2e7 / (dim * Math.max(1, featureWidth)))));
}

function checked(itemId: string, vector: Float32Array, sizes: readonly number[]): Float32Array {
  const fault = (what: string) =>
    new PublishRefused({
      detail: `the vector of item ${excerpt(itemId)} ${what}; the artifact cannot be served, train anew`,
    });
  const bad = vector.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw fault(`has ${vector[bad]} at coordinate ${bad}`);
  // Where the smallest prefix is not zero, no prefix is.
  if (!vector.subarray(0, sizes[0]).some((value) => value !== 0)) {
    throw fault(`is zero in its first ${sizes[0]} coordinates`);
  }
  return vector;
}
