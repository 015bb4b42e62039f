/**
 * One block of labels against one chunk of items: scores of every size from running sums, their softmax, the loss,
 * and the gradients from the largest size down.
 *
 * Every tensor of labels x items numbers is disposed as soon as it has been used: the next one takes its place in
 * memory, so that a block holds one per size and a few more, however many steps it takes.
 */
import * as tf from '@tensorflow/tfjs-core';
import { labelLosses, mergeLogSumExp, rowDots, softmaxLogSumExp } from './log-sum-exp.js';
import type { Segment } from '@nestrec/parameters';

/** A range of items, cut into segments in both orientations. */
export interface ItemChunk {
  readonly count: number;
  /** By segment, [width, count]. */
  readonly columns: readonly tf.Tensor2D[];
  /** By segment, [count, width]. */
  readonly rows: readonly tf.Tensor2D[];
  readonly ones: tf.Tensor2D;
  /** Added to every score of an item, [1, count]; null = nothing. */
  readonly bias: tf.Tensor2D | null;
  /** By segment, [count, width]: the gradient so far. */
  readonly gradients: tf.Tensor2D[];
}

/** What stays the same for all blocks of one call. */
export interface Call {
  readonly segments: readonly Segment[];
  readonly scales: readonly number[];
  /** d loss / d score of a size = factor * (probability - target). */
  readonly factors: readonly number[];
  readonly withScaleGradient: boolean;
  /** By segment: how much of the larger sizes' gradient reaches its coordinates. */
  readonly prefixShares: readonly number[];
}

export interface Totals {
  readonly loss: Float64Array;
  readonly scaleGradient: Float64Array;
}

/** Labels from .. from + rows - 1: their segments of the states, and their targets. */
export interface Block {
  readonly rows: number;
  readonly states: readonly tf.Tensor2D[];
  readonly targets: Int32Array;
}

/**
 * Hands the scores of every size to `use`, smallest first: scaled and biased, and scaled alone. They are disposed after
 * it.
 */
function forEachSize(
  block: Block,
  chunk: ItemChunk,
  scales: readonly number[],
  use: (scores: tf.Tensor2D, k: number, unbiased: tf.Tensor2D) => void,
): void {
  let sum: tf.Tensor2D | null = null;
  block.states.forEach((segment, k) => {
    const part: tf.Tensor2D = tf.matMul(segment, chunk.columns[k]!);
    const next: tf.Tensor2D = sum === null ? part : tf.add(sum, part);
    if (sum !== null) tf.dispose([sum, part]);
    sum = next;
    const scaled: tf.Tensor2D = scales[k] === 1 ? next : tf.mul(next, scales[k]!);
    const biased: tf.Tensor2D = chunk.bias === null ? scaled : tf.add(scaled, chunk.bias);
    use(biased, k, scaled);
    if (biased !== scaled) biased.dispose();
    if (scaled !== next) scaled.dispose();
  });
  tf.dispose(sum!);
}

/** Log-sum-exp of every row: by size over all items, and by chunk and size. */
export interface LogSumExps {
  readonly total: readonly Float64Array[];
  readonly byChunk: readonly (readonly Float32Array[])[];
}

/** First pass over more than one chunk. */
export function logSumExps(block: Block, chunks: readonly ItemChunk[], call: Call): LogSumExps {
  const byChunk = chunks.map((chunk) => {
    const found: Float32Array[] = [];
    forEachSize(block, chunk, call.scales, (scores) => {
      const softmax = tf.softmax(scores);
      found.push(softmaxLogSumExp(scores, softmax));
      softmax.dispose();
    });
    return found;
  });
  return {
    total: call.segments.map((_, k) => mergeLogSumExp(byChunk.map((chunk) => chunk[k]!))),
    byChunk,
  };
}

/** Probabilities of every size; adds the block's loss (unless `shares`) and gradient by the scales to `totals`. */
function probabilitiesOf(
  block: Block,
  chunk: ItemChunk,
  call: Call,
  totals: Totals,
  shares: readonly Float32Array[] | null,
): tf.Tensor2D[] {
  const probabilities: tf.Tensor2D[] = [];
  forEachSize(block, chunk, call.scales, (scores, k, unbiased) => {
    let p: tf.Tensor2D = tf.softmax(scores);
    if (shares === null) totals.loss[k]! += labelLosses(scores, p, block.targets);
    else {
      const softmax = p;
      p = tf.mul(softmax, tf.tensor2d(shares[k]!, [block.rows, 1]));
      softmax.dispose();
    }
    if (call.withScaleGradient && call.factors[k] !== 0) {
      totals.scaleGradient[k]! += rowDots(p, unbiased, chunk.ones);
    }
    probabilities.push(p);
  });
  return probabilities;
}

/**
 * Adds one block's loss and gradients over one chunk. Returns the gradient by the block's states, by segment,
 * without the targets' own part.
 *
 * @param shares where there is more than one chunk: the share of all probability in this one, by size and row.
 */
export function backwardChunk(
  block: Block,
  chunk: ItemChunk,
  call: Call,
  totals: Totals,
  shares: readonly Float32Array[] | null,
): tf.Tensor2D[] {
  return tf.tidy(() => {
    const probabilities = probabilitiesOf(block, chunk, call, totals, shares);
    const gradients: tf.Tensor2D[] = [];
    let suffix: Suffix | null = null;
    for (let k = call.segments.length - 1; k >= 0; k--) {
      const own = { p: probabilities[k]!, factor: call.factors[k]! };
      const mixed =
        call.prefixShares[k] === 1 ? null : withShare(suffix, own, call.prefixShares[k]!);
      suffix = addToSuffix(suffix, own.p, own.factor);
      const upstream = mixed ?? suffix;
      if (upstream === null) gradients[k] = tf.zerosLike(block.states[k]!);
      else gradients[k] = multiplySegment(upstream, block, chunk, k);
      if (mixed !== null) mixed.sum.dispose();
    }
    return gradients;
  });
}

/** G_k + share * (G_(k+1) + ... + G_M): what segment k is given where sizes share only in part. Disposes nothing. */
function withShare(
  suffix: Suffix | null,
  { p, factor }: { readonly p: tf.Tensor2D; readonly factor: number },
  share: number,
): Suffix | null {
  const own = tf.mul(p, factor) as tf.Tensor2D;
  if (suffix === null || share === 0) return { sum: own, factor: 1 };
  const sum = tf.add(own, tf.mul(suffix.sum, share * suffix.factor)) as tf.Tensor2D;
  return { sum, factor: 1 };
}

/** T_k = G_k + G_(k+1) + ... + G_M as `sum` times `factor`. */
interface Suffix {
  readonly sum: tf.Tensor2D;
  readonly factor: number;
}

/** suffix + p * factor: two passes over the scores, or one where factors are equal. Disposes both. */
function addToSuffix(suffix: Suffix | null, p: tf.Tensor2D, factor: number): Suffix | null {
  if (factor === 0) {
    p.dispose();
    return suffix;
  }
  if (suffix === null) return { sum: p, factor };
  let { sum } = suffix;
  if (suffix.factor !== factor) {
    const unscaled = sum;
    sum = tf.mul(unscaled, suffix.factor / factor);
    unscaled.dispose();
  }
  const total = tf.add(sum, p) as tf.Tensor2D;
  tf.dispose([sum, p]);
  return { sum: total, factor };
}

/** dZ of segment k, returned, and dE of segment k, added to the chunk's. */
function multiplySegment(
  { sum, factor }: Suffix,
  block: Block,
  chunk: ItemChunk,
  k: number,
): tf.Tensor2D {
  const columns = tf.transpose(sum) as tf.Tensor2D;
  const part = tf.matMul(columns, tf.mul(block.states[k]!, factor) as tf.Tensor2D);
  columns.dispose();
  const before = chunk.gradients[k]!;
  chunk.gradients[k] = tf.keep(tf.add(before, part) as tf.Tensor2D);
  tf.dispose([before, part]);
  return tf.mul(tf.matMul(sum, chunk.rows[k]!), factor) as tf.Tensor2D;
}
