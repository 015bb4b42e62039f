/**
 * Picks rows of a table and adds rows back into one: the embedding look-up and its gradient. Scales rows, and multiplies
 * them with one another.
 *
 * Written with gatherND and scatterND, which copy whole rows: on wasm `tf.gather` is 15 times slower, and
 * the gradient that TensorFlow.js would use needs a kernel that wasm lacks.
 */
import * as tf from '@tensorflow/tfjs-core';
import { activeNative } from './native/native-backend.js';
import {
  nativeAddRows,
  nativeGather,
  nativeRowDots,
  nativeScaleRows,
  nativeScatter,
} from './native/native-operations.js';

/** Rows `indices` of `table` [N, D]: [n, D]. */
export function gatherRows(table: tf.Tensor2D, indices: Int32Array): tf.Tensor2D {
  if (indices.length === 0) return tf.zeros([0, table.shape[1]]);
  const native = activeNative();
  if (native !== null) return nativeGather(native, table, indices);
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
  const native = activeNative();
  if (native !== null) return nativeScatter(native, indices, values, rows);
  return tf.tidy(() =>
    tf.scatterND(tf.tensor2d(indices, [indices.length, 1], 'int32'), values, shape),
  ) as tf.Tensor2D;
}

/**
 * `table` with row j of `values` added at `indices[j]`. Takes the table over: where a backend can it adds in place, so
 * nobody may use the table afterwards.
 */
export function addRows(table: tf.Tensor2D, indices: Int32Array, values: tf.Tensor2D): tf.Tensor2D {
  if (indices.length === 0) return table;
  const native = activeNative();
  if (native !== null) return nativeAddRows(native, table, indices, values);
  return tf.add(table, scatterAddRows(indices, values, table.shape[0]));
}

/** Row i of x [n, D] times factors[i]. */
export function scaleRows(x: tf.Tensor2D, factors: tf.Tensor): tf.Tensor2D {
  const native = activeNative();
  if (native !== null) return nativeScaleRows(native, x, factors);
  return tf.tidy(() => tf.mul(x, tf.reshape(factors, [x.shape[0], 1])));
}

/** Inner products of the rows of x and y [n, D]: [n]. */
export function rowDots(x: tf.Tensor2D, y: tf.Tensor2D): tf.Tensor1D {
  const native = activeNative();
  if (native !== null) return nativeRowDots(native, x, y);
  return tf.tidy(() => tf.sum(tf.mul(x, y), 1));
}
