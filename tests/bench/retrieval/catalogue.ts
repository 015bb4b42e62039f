/**
 * The vectors that the retrieval benchmark searches: those of the trained model, and beyond its own items
 * variants of them as items that came later have them, embedded from features without a residual of their own.
 * Queries are those of real histories, read out as they would be served.
 */
import { createRandom } from '@nestrec/random';
import { embedItem, itemVectors } from '@nestrec/parameters';
import type { Artifact } from '@nestrec/registry';
import { createCell } from '@nestrec/streaming';
import { largeItemId, varied, type LargeBeauty } from './large-beauty.js';

const SEED = 5;

export interface Block {
  readonly itemIds: string[];
  /** Rows of D coordinates. */
  readonly vectors: Float32Array[];
}

/** Vectors of `count` items, in blocks. */
export function* vectorBlocks(artifact: Artifact, count: number, size: number): Generator<Block> {
  const { config } = artifact.manifest;
  const dim = config.sizes.at(-1)!;
  const width = config.featureWidth;
  const textWidth = artifact.manifest.features.modalities[0]!.width;
  const random = createRandom(SEED);
  const own = Math.min(count, artifact.itemIds.length);
  for (let from = 0; from < count; from += size) {
    const to = Math.min(from + size, count);
    const vectors: Float32Array[] = [];
    const trained =
      from < own
        ? itemVectors(config, artifact.parameters, artifact.features, from, Math.min(to, own))
        : new Float32Array(0);
    for (let row = from; row < to; row++) {
      if (row < own) {
        vectors.push(trained.subarray((row - from) * dim, (row - from + 1) * dim));
        continue;
      }
      const base = (row % own) * width;
      const feature = varied(artifact.features.subarray(base, base + width), textWidth, random);
      vectors.push(embedItem(config, artifact.parameters, feature));
    }
    yield { itemIds: vectors.map((_, index) => largeItemId(from + index)), vectors };
  }
}

/** Query vectors of D coordinates, of `count` users drawn by a seed. */
export function userQueries(artifact: Artifact, data: LargeBeauty, count: number): Float32Array[] {
  const { config } = artifact.manifest;
  const cell = createCell(config, artifact.parameters);
  const random = createRandom(SEED);
  const { offsets, items } = data.dataset;
  const users = offsets.length - 1;
  const vector = (item: number) =>
    itemVectors(config, artifact.parameters, artifact.features, item - 1, item);
  return Array.from({ length: count }, () => {
    const user = random.int(users);
    const history = items.subarray(offsets[user]!, offsets[user + 1]!);
    return cell.query(cell.fold(Array.from(history, vector)));
  });
}
