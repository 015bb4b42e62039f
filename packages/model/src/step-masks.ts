/**
 * The dropout masks of one training step, drawn in a fixed order from one stream: of the item residual, then of
 * the embedding and of every block. Knows nothing of what they are laid over.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '@nestrec/contracts';
import { InternalError } from '@nestrec/errors';
import type { Random } from '@nestrec/random';
import { dropoutMask, requireRates } from '@nestrec/tensor';
import type { BlockMasks } from './block.js';

export interface MaskSettings {
  /** Dropout rate of each segment of what enters the first block. Default: none. */
  readonly dropout?: readonly number[];
  /** The same at the three sites inside every block. Default: as `dropout`. */
  readonly blockDropout?: readonly number[];
  /** Rate at which R_i is dropped, by segment and item. Default: none. */
  readonly residualDrop?: readonly number[];
  /** Draws a few integers a call; required when a rate is above 0. */
  readonly random?: Random;
  /** Default: the batch is a whole one, and the model has all items. */
  readonly part?: BatchPart;
}

/**
 * Which rows of a whole batch, and which of all items, a model computes that shares a step with others. Masks
 * are drawn for the whole, so that the parts together have those of a single model.
 */
export interface BatchPart {
  /** Index in the whole batch of each row of the part. */
  readonly rows: Int32Array;
  readonly rowsInAll: number;
  /** 0-based; the model's other items follow it without a gap. */
  readonly firstItem: number;
  readonly itemsInAll: number;
}

/** Masks [rows, D] and, for the residual, [N, M] by item and segment; null = keep all. */
export interface StepMasks {
  readonly embedding: tf.Tensor2D | null;
  readonly blocks: readonly BlockMasks[];
  readonly residual: tf.Tensor2D | null;
}

export const NO_MASKS: BlockMasks = { recurrence: null, inner: null, output: null };

/** The caller disposes the tensors, or runs inside a tidy. */
export function drawMasks(config: ModelConfig, rows: number, settings: MaskSettings): StepMasks {
  const { sizes, numItems, blocks } = config;
  const none = sizes.map(() => 0);
  const { random, part, dropout = none, blockDropout = dropout, residualDrop = none } = settings;
  requireRates('dropout', dropout, sizes.length);
  requireRates('blockDropout', blockDropout, sizes.length);
  requireRates('residualDrop', residualDrop, sizes.length);
  if ([...dropout, ...blockDropout, ...residualDrop].every((rate) => rate === 0)) {
    return {
      embedding: null,
      blocks: new Array<BlockMasks>(blocks).fill(NO_MASKS),
      residual: null,
    };
  }
  if (random === undefined) throw new InternalError({ detail: 'dropout needs a random stream.' });
  const draw = (rates: readonly number[]) =>
    dropoutMask(part?.rowsInAll ?? rows, sizes, rates, random, part?.rows);
  const residual = () => {
    const columns = sizes.map((_, i) => i + 1);
    const own = part && Int32Array.from({ length: numItems }, (_, i) => part.firstItem + i);
    const all = part?.itemsInAll ?? numItems;
    return dropoutMask(all, columns, residualDrop, random, own);
  };
  // The order is the run's: another one would be another run.
  return {
    residual: config.itemResidual ? residual() : null,
    embedding: draw(dropout),
    blocks: Array.from({ length: blocks }, () => ({
      recurrence: draw(blockDropout),
      inner: draw(blockDropout),
      output: draw(blockDropout),
    })),
  };
}
