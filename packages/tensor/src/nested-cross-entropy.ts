/**
 * Cross-entropy over the whole catalogue at every nested size at once, with its gradients.
 *
 * The scores of size k are those of size k - 1 plus the product of one segment, so all sizes cost what the
 * largest does. Labels go through in blocks and items in chunks, so that labels x items scores never exist
 * at once. Where all items fit one chunk (the usual case) a block's softmax is final and nothing is computed
 * twice; otherwise a first pass finds each label's log-sum-exp by size, chunk by chunk, and a second one
 * recomputes the scores. The backward pass adds the sizes from the largest down (suffix sums), so that it
 * too multiplies each segment once.
 *
 * Written for few passes over the scores: softmax is six times faster than exp on wasm, so probabilities
 * come from it alone, the label's own term is a row of its own, and no product is asked to transpose.
 */
import * as tf from '@tensorflow/tfjs-core';
import {
  backwardChunk,
  logSumExps,
  type Block,
  type Call,
  type ItemChunk,
  type LogSumExps,
  type Totals,
} from './cross-entropy-block.js';
import { activeNative } from './native/native-backend.js';
import { nativeCrossEntropy } from './native/native-tables.js';
import { gatherRows, scatterAddRows } from './rows.js';
import { blockRows, chunkItems } from './score-blocks.js';
import { segmentsOf, type Segment } from '@nestrec/parameters';
import { spreadValues } from './segments.js';

export interface NestedCrossEntropyInput {
  /** Query vectors of the labels, [n, D]. */
  readonly states: tf.Tensor2D;
  /** Item vectors as rows, [I, D]. */
  readonly items: tf.Tensor2D;
  /** Row of `items` that is right, by label. */
  readonly targets: Int32Array;
  readonly sizes: readonly number[];
  /** Weight of each size; the loss is the weighted sum of the sizes' means. */
  readonly weights: readonly number[];
  /** Log of the factor on each size's scores; null = 1, without gradient. */
  readonly logScales: ArrayLike<number> | null;
  /** Added to every score of an item, [I]: the correction of a sampled catalogue. Absent: nothing. */
  readonly itemBias?: Float32Array | null;
  /**
   * By segment: how much of the gradient by scores of the sizes that are larger reaches its coordinates, 0 to 1. Absent:
   * 1, the gradient of the loss; below, the segment serves its own size first and larger ones build on it.
   */
  readonly prefixShares?: readonly number[];
  /** Items a chunk; 0 or absent = by memory. */
  readonly itemChunk?: number;
}

export interface NestedCrossEntropy {
  readonly loss: number;
  /** Mean cross-entropy of each size, without its weight. */
  readonly lossBySize: readonly number[];
  readonly gradients: {
    readonly states: tf.Tensor2D;
    /** [I, D] */
    readonly items: tf.Tensor2D;
    readonly logScales: Float32Array | null;
  };
}

function cutItems(
  columns: tf.Tensor2D,
  bias: Float32Array | null,
  segments: readonly Segment[],
  chunkLength: number,
): ItemChunk[] {
  const total = columns.shape[1];
  const chunks: ItemChunk[] = [];
  // Where one chunk holds all items a segment's columns stand together: read once, not once a slice.
  const whole = total <= chunkLength ? (columns.dataSync() as Float32Array) : null;
  for (let from = 0; from < total; from += chunkLength) {
    const count = Math.min(chunkLength, total - from);
    const cut = segments.map(({ begin, width }) =>
      whole === null
        ? tf.slice(columns, [begin, from], [width, count])
        : tf.tensor2d(whole.subarray(begin * total, (begin + width) * total), [width, total]),
    );
    chunks.push({
      count,
      columns: cut,
      rows: cut.map((part) => tf.transpose(part) as tf.Tensor2D),
      ones: tf.ones([count, 1]),
      bias: bias === null ? null : tf.tensor2d(bias.subarray(from, from + count), [1, count]),
      gradients: segments.map(({ width }) => tf.zeros([count, width])),
    });
  }
  return chunks;
}

/** Rows of the states as contiguous blocks by segment; read on the host, since wasm's slices copy their source. */
function cutStates(states: tf.Tensor2D, segments: readonly Segment[]): Float32Array[] {
  const [rows, width] = states.shape;
  const data = states.dataSync();
  return segments.map((segment) => {
    const out = new Float32Array(rows * segment.width);
    for (let row = 0; row < rows; row++) {
      const begin = row * width + segment.begin;
      out.set(data.subarray(begin, begin + segment.width), row * segment.width);
    }
    return out;
  });
}

/** The targets' own part of the loss gradient: -tau * E_y for the states, -tau * z for the items. */
function targetParts(input: NestedCrossEntropyInput, { factors, prefixShares }: Call) {
  const { states, items, targets, sizes } = input;
  const bySegment = factors.map((factor, k) => {
    const larger = factors.slice(k + 1).reduce((sum, one) => sum + one, 0);
    return factor + prefixShares[k]! * larger;
  });
  const tau = tf.tensor1d(spreadValues(sizes, bySegment));
  const right = gatherRows(items, targets);
  return {
    right,
    states: tf.mul(right, tau) as tf.Tensor2D,
    items: scatterAddRows(targets, tf.mul(states, tau) as tf.Tensor2D, items.shape[0]),
  };
}

/** Scores of the targets by label and size, scaled: from the rows themselves, not from the products. */
function targetScores(
  states: readonly Float32Array[],
  right: Float32Array,
  segments: readonly Segment[],
  scales: readonly number[],
  rows: number,
): Float64Array[] {
  const width = segments.at(-1)!.end;
  const sums = new Float64Array(rows);
  return segments.map((segment, k) => {
    for (let row = 0; row < rows; row++) {
      for (let d = 0; d < segment.width; d++) {
        const item = right[row * width + segment.begin + d]!;
        sums[row]! += states[k]![row * segment.width + d]! * item;
      }
    }
    return sums.map((sum) => sum * scales[k]!);
  });
}

/** Loss and gradients. The caller disposes the gradients' tensors. No label: loss 0, gradients 0. */
export function nestedCrossEntropy(input: NestedCrossEntropyInput): NestedCrossEntropy {
  const native = activeNative();
  if (native !== null && input.targets.length > 0) return nativeCrossEntropy(native, input);
  return composedCrossEntropy(input);
}

function composedCrossEntropy(input: NestedCrossEntropyInput): NestedCrossEntropy {
  const { sizes, weights, targets } = input;
  const labels = targets.length;
  const bias = input.itemBias ?? null;
  const columns = () => tf.transpose(input.items) as tf.Tensor2D;
  const segments = segmentsOf(sizes);
  const scales = sizes.map((_, k) =>
    input.logScales === null ? 1 : Math.exp(input.logScales[k]!),
  );
  const call: Call = {
    segments,
    scales,
    factors: weights.map((weight, k) => (labels === 0 ? 0 : (weight * scales[k]!) / labels)),
    withScaleGradient: input.logScales !== null,
    prefixShares: input.prefixShares ?? sizes.map(() => 1),
  };
  const totals: Totals = {
    loss: new Float64Array(sizes.length),
    scaleGradient: new Float64Array(sizes.length),
  };
  const gradients = tf.tidy(() => {
    const parts = targetParts(input, call);
    const states = cutStates(input.states, segments);
    const own = targetScores(
      states,
      parts.right.dataSync() as Float32Array,
      segments,
      scales,
      labels,
    );
    const chunks = labels === 0 ? [] : cutItems(columns(), bias, segments, chunkOf(input));
    const biased =
      bias === null
        ? own
        : own.map((scores) => scores.map((score, row) => score + bias[targets[row]!]!));
    const byState = runBlocks(states, targets, chunks, call, totals, biased);
    // Four copies of all items, packed ones included, make room for the gradient.
    for (const { columns, rows } of chunks) tf.dispose([...columns, ...rows]);
    const byItem = chunks.map((chunk) => tf.concat(chunk.gradients, 1));
    chunks.forEach((chunk) => tf.dispose(chunk.gradients));
    if (call.withScaleGradient) {
      own.forEach((scores, k) => scores.forEach((score) => (totals.scaleGradient[k]! -= score)));
    }
    return {
      states: labels === 0 ? tf.zerosLike(input.states) : tf.sub(byState, parts.states),
      items: labels === 0 ? tf.zerosLike(input.items) : tf.sub(tf.concat(byItem, 0), parts.items),
    } as unknown as tf.NamedTensorMap;
  }) as unknown as { states: tf.Tensor2D; items: tf.Tensor2D };
  const lossBySize = [...totals.loss].map((sum) => (labels === 0 ? 0 : sum / labels));
  const logScales = Float32Array.from(totals.scaleGradient, (sum, k) =>
    labels === 0 ? 0 : (weights[k]! * sum) / labels,
  );
  return {
    loss: lossBySize.reduce((sum, loss, k) => sum + weights[k]! * loss, 0),
    lossBySize,
    gradients: { ...gradients, logScales: call.withScaleGradient ? logScales : null },
  };
}

function chunkOf({ items, sizes, itemChunk = 0 }: NestedCrossEntropyInput): number {
  const count = items.shape[0];
  return itemChunk === 0 ? chunkItems(count, sizes.length) : Math.min(itemChunk, count);
}

/** All blocks over all chunks; the gradient by the states [n, D] without the targets' part. */
function runBlocks(
  states: readonly Float32Array[],
  targets: Int32Array,
  chunks: readonly ItemChunk[],
  call: Call,
  totals: Totals,
  own: readonly Float64Array[],
): tf.Tensor2D {
  const blocks: tf.Tensor2D[] = [];
  const most = blockRows(chunks[0]?.count ?? 1);
  for (let from = 0; from < targets.length; from += most) {
    const rows = Math.min(most, targets.length - from);
    const gradient = tf.tidy(() => {
      const block: Block = {
        rows,
        states: call.segments.map(({ width }, k) =>
          tf.tensor2d(states[k]!.subarray(from * width, (from + rows) * width), [rows, width]),
        ),
        targets: targets.subarray(from, from + rows),
      };
      const lse = chunks.length > 1 ? logSumExps(block, chunks, call) : null;
      if (lse !== null) addChunkedLoss(lse, own, from, totals);
      let sums: tf.Tensor2D[] | null = null;
      chunks.forEach((chunk, c) => {
        const shares = lse === null ? null : sharesOf(lse, c);
        const parts = backwardChunk(block, chunk, call, totals, shares);
        const before = sums;
        sums = before === null ? parts : parts.map((p, k) => tf.add(before[k]!, p) as tf.Tensor2D);
      });
      return tf.concat(sums!, 1);
    });
    blocks.push(gradient as tf.Tensor2D);
  }
  return blocks.length === 0 ? tf.zeros([0, 0]) : tf.concat(blocks, 0);
}

function addChunkedLoss(
  lse: LogSumExps,
  own: readonly Float64Array[],
  from: number,
  totals: Totals,
): void {
  lse.total.forEach((values, k) => {
    values.forEach((value, row) => (totals.loss[k]! += value - own[k]![from + row]!));
  });
}

/** The share of all probability that falls into chunk c, by size and row. */
function sharesOf(lse: LogSumExps, c: number): Float32Array[] {
  return lse.byChunk[c]!.map((values, k) =>
    values.map((value, row) => Math.exp(value - lse.total[k]![row]!)),
  );
}
