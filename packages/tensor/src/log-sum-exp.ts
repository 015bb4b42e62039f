/**
 * Log-sum-exps and label losses read off a softmax that has been computed anyway.
 *
 * A softmax's largest value is 1 / sum(exp(x - max)), so log-sum-exp = max(x) - log(max(softmax)): two maxima
 * instead of an exponential of every score.
 */
import * as tf from '@tensorflow/tfjs-core';
import { hostNumbers } from './arrays.js';

/** Below this a label's probability has lost digits or is 0, and the loss is taken the longer way. */
const SMALLEST_PROBABILITY = 1e-30;

/** Log-sum-exp of each row. */
export function softmaxLogSumExp(scores: tf.Tensor2D, softmax: tf.Tensor2D): Float32Array {
  return hostNumbers(() => tf.sub(tf.max(scores, 1), tf.log(tf.max(softmax, 1))));
}

/** Sum over rows of log-sum-exp minus the target's score. */
export function labelLosses(
  scores: tf.Tensor2D,
  softmax: tf.Tensor2D,
  targets: Int32Array,
): number {
  return tf.tidy(() => {
    const positions = new Int32Array(2 * targets.length);
    targets.forEach((target, row) => positions.set([row, target], 2 * row));
    const pairs = tf.tensor2d(positions, [targets.length, 2], 'int32');
    const probabilities = tf.gatherND(softmax, pairs).dataSync();
    let sum = 0;
    if (probabilities.every((p) => !(p < SMALLEST_PROBABILITY))) {
      for (const p of probabilities) sum -= Math.log(p);
      return sum;
    }
    const own = tf.gatherND(scores, pairs).dataSync();
    softmaxLogSumExp(scores, softmax).forEach((lse, row) => (sum += lse - own[row]!));
    return sum;
  });
}

/** Merges rows' log-sum-exps over chunks. */
export function mergeLogSumExp(chunks: readonly Float32Array[]): Float64Array {
  const merged = Float64Array.from(chunks[0]!);
  for (const chunk of chunks.slice(1)) {
    chunk.forEach((value, row) => {
      const [low, high] = value < merged[row]! ? [value, merged[row]!] : [merged[row]!, value];
      merged[row] = high + Math.log1p(Math.exp(low - high));
    });
  }
  return merged;
}

/** Sum over all rows and columns of a * b; `ones` is [columns, 1]. Row sums are float32, their sum is double. */
export function rowDots(a: tf.Tensor2D, b: tf.Tensor2D, ones: tf.Tensor2D): number {
  const rows = hostNumbers(() => tf.matMul(tf.mul(a, b) as tf.Tensor2D, ones));
  let sum = 0;
  for (const row of rows) sum += row;
  return sum;
}
