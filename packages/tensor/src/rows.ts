/**
 * Picks rows of a table and adds rows back into one: the embedding look-up and its gradient.
 *
 * Written with gatherND and scatterND, which copy whole rows: on wasm `tf.gather` is 15 times slower, and
 * the gradient that TensorFlow.js would use needs a kernel that wasm lacks.
 */
import * as tf from '@tensorflow/tfjs-core';

/** Rows `indices` of `table` [N, D]: [n, D]. */
export function gatherRows(table: tf.Tensor2D, indices: Int32Array): tf.Tensor2D {
  if (indices.length === 0) return tf.zeros([0, table.shape[1]]);
  return tf.tidy(() =>
    tf.gatherND(table, tf.tensor2d(indices, [indices.length, 1], 'int32')),
  ) as tf.Tensor2D;
}

/** A table [rows, D] of zeros into which row j of `values` [n, D] is added at `indices[j]`; repeats add up. */
export function scatterAddRows(
  indices: Int32Array,
  values: tf.Tensor2D,
  rows: number,
): tf.Tensor2D {
  const shape: [number, number] = [rows, values.shape[1]];
  if (indices.length === 0) return tf.zeros(shape);
  return tf.tidy(() =>
    tf.scatterND(tf.tensor2d(indices, [indices.length, 1], 'int32'), values, shape),
  ) as tf.Tensor2D;
}
