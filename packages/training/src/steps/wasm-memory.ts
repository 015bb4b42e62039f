/**
 * How much of the wasm backend's heap a training step takes, and how the step is cut so that it stays below the
 * heap's end at 4 GiB. Pure; the counts of copies are measured (wasm-memory.test.ts holds them to the real heap).
 */
import type { ModelConfig } from '@nestrec/contracts';
import { InsufficientMemory } from '@nestrec/errors';
import { scoresAtOnce, WASM_HEAP_BYTES, WASM_HEAP_CURE } from '@nestrec/tensor';

export interface StepShape {
  readonly config: ModelConfig;
  /** Labels of a step. */
  readonly labels: number;
  readonly replicas: number;
  /** Items per chunk of the cross-entropy; 0 = as it chooses. */
  readonly itemChunk: number;
}

/** [N + 1, D] matrices alive at the peak: the table in both orientations, cut, packed, its gradient. */
const TABLES = 9;
/** The same where early exits are trained: the gradient of one output beside that of the next. */
const EXIT_TABLES = 2;
/** The same for the items that a replica owns: residual, moments, mask, gradient, AdamW's own. */
const OWN_TABLES = 6;
/** Features once as they are, once packed for a product. */
const FEATURE_TABLES = 2;
/** Copies of a block's weights: moments, gradients, structure, transposed and packed ones. */
const WEIGHT_COPIES = 10;
/** D x D matrices that a block's weights make up: two complex projections, three real ones. */
const BLOCK_MATRICES = 7;
/** [labels, D] matrices of a block: what the backward pass needs, and the dropout masks. */
const ACTIVATIONS = 30;
/** The heap at its start. */
const BASE_BYTES = 16_777_216;
/** Left free, for the allocator's gaps and for steps with more labels than most. */
const USABLE_BYTES = 0.9 * WASM_HEAP_BYTES;
/** Chunks tried where the default does not fit. Smaller ones save nothing worth having. */
const SMALLER_CHUNKS = [16_384, 4_096];

/** Bytes of the heap at its fullest, within a factor of 1.5 either way. */
export function estimateHeapBytes({ config, labels, replicas, itemChunk }: StepShape): number {
  const { numItems, featureWidth, blocks, sizes, itemResidual, exits = [] } = config;
  const width = sizes.at(-1)!;
  const table = (numItems + 1) * width;
  const ownRows = Math.ceil(numItems / replicas) + 1;
  const rows = Math.ceil(labels / replicas);
  const numbers =
    (TABLES + (exits.length > 0 ? EXIT_TABLES : 0)) * table +
    ownRows * ((itemResidual ? OWN_TABLES : 1) * width + FEATURE_TABLES * featureWidth) +
    scoresAtOnce(numItems + 1, sizes.length, itemChunk) +
    blocks * (WEIGHT_COPIES * BLOCK_MATRICES * width ** 2 + ACTIVATIONS * rows * width);
  return BASE_BYTES + 4 * numbers;
}

/** The most items that fit, to a thousand; the other parts of the shape as they are. */
export function mostItems(shape: StepShape): number {
  const fits = (numItems: number) =>
    SMALLER_CHUNKS.some((itemChunk) => {
      const config = { ...shape.config, numItems };
      return estimateHeapBytes({ ...shape, config, itemChunk }) <= USABLE_BYTES;
    });
  let [most, tooMany] = [0, 2 ** 24];
  while (tooMany - most > 1_000) {
    const middle = Math.floor((most + tooMany) / 2);
    if (fits(middle)) most = middle;
    else tooMany = middle;
  }
  return Math.floor(most / 1_000) * 1_000;
}

/**
 * The item chunk with which the step fits the heap: the one asked for where that will do.
 * @throws InsufficientMemory where none does
 */
export function fitItemChunk(shape: StepShape): number {
  const chunks = [shape.itemChunk, ...SMALLER_CHUNKS.filter((c) => c < shape.config.numItems)];
  const fits = (itemChunk: number) => estimateHeapBytes({ ...shape, itemChunk }) <= USABLE_BYTES;
  const found = chunks.find(fits);
  if (found !== undefined) return found;
  const least = Math.min(...chunks.map((c) => estimateHeapBytes({ ...shape, itemChunk: c })));
  const { numItems, sizes, featureWidth } = shape.config;
  throw new InsufficientMemory({
    detail:
      `${numItems} items x ${sizes.at(-1)} dimensions with ${featureWidth} features and ${Math.round(shape.labels)} labels a step ` +
      `take about ${(least / 2 ** 30).toFixed(1)} GiB on backend wasm; wanted at most ` +
      `${(USABLE_BYTES / 2 ** 30).toFixed(1)}, since its heap ends at 4 GiB: ${WASM_HEAP_CURE}.`,
  });
}
