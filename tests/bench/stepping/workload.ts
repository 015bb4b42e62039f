/**
 * What the stepping benchmark feeds: a model of any nested sizes with random weights, items by a Zipf law,
 * events of many users. Knows nothing of how they are applied.
 */
import { createRandom, type Random } from '@nestrec/random';
import { createCell, type Cell } from '@nestrec/streaming';
import { randomModel, randomVectors } from '../../helpers/streaming-reference.js';

/** Nested sizes that double from 16 up to `dim`. */
export function ladder(dim: number): number[] {
  const sizes: number[] = [];
  for (let size = 16; size < dim; size *= 2) sizes.push(size);
  return [...sizes, dim];
}

export interface Catalogue {
  readonly cell: Cell;
  readonly itemIds: readonly string[];
  readonly vectors: readonly Float32Array[];
}

/** A cell and the vectors of `items` items; everything follows from the seed. */
export function makeCatalogue(
  seed: number,
  shape: { readonly dim: number; readonly blocks: number; readonly items: number },
): Catalogue {
  const model = randomModel(seed, { sizes: ladder(shape.dim), blocks: shape.blocks, rMax: 0.7 });
  return {
    cell: createCell(model.config, model.params),
    itemIds: Array.from({ length: shape.items }, (_, i) => `item-${i}`),
    vectors: randomVectors(createRandom(seed), shape.items, shape.dim),
  };
}

/** An index below `count` whose probability falls with one over its rank. */
export function zipf(random: Random, count: number): number {
  return Math.min(count - 1, Math.floor(count ** random.uniform()) - 1);
}
