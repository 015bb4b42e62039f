/** Products of plain row-major matrices on the chosen backend, for what is computed once and not step by step. */
import * as tf from '@tensorflow/tfjs-core';
import { hostNumbers } from './arrays.js';

/** `a` [rows, inner] times `b` [inner, columns]. */
export function multiply(
  a: Float32Array,
  b: Float32Array,
  [rows, inner, columns]: readonly [number, number, number],
): Float32Array {
  return hostNumbers(() =>
    tf.matMul(tf.tensor2d(a, [rows, inner]), tf.tensor2d(b, [inner, columns])),
  );
}

/** `a` transposed, [rows, left], times `b` [rows, right]: sums over the rows. */
export function multiplyTransposed(
  a: Float32Array,
  b: Float32Array,
  [rows, left, right]: readonly [number, number, number],
): Float32Array {
  return hostNumbers(() =>
    tf.matMul(tf.tensor2d(a, [rows, left]), tf.tensor2d(b, [rows, right]), true, false),
  );
}
