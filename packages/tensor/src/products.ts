/**
 * Products of plain row-major matrices on the chosen backend, for what is computed once and not step by step.
 *
 * Tall matrices go through in panels of rows, so that a backend with little memory (wasm) need not hold them whole.
 */
import * as tf from '@tensorflow/tfjs-core';
import { hostNumbers } from './arrays.js';

/** Numbers of both matrices in a panel. */
const PANEL_NUMBERS = 2 ** 24;

/** `a` [rows, inner] times `b` [inner, columns]. */
export function multiply(
  a: Float32Array,
  b: Float32Array,
  [rows, inner, columns]: readonly [number, number, number],
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(rows * columns);
  const right = tf.tensor2d(b, [inner, columns]);
  for (const [from, to] of panels(rows, inner + columns)) {
    const part = a.subarray(from * inner, to * inner);
    const product = hostNumbers(() => tf.matMul(tf.tensor2d(part, [to - from, inner]), right));
    out.set(product, from * columns);
  }
  right.dispose();
  return out;
}

/** `a` transposed, [rows, left], times `b` [rows, right]: sums over the rows. */
export function multiplyTransposed(
  a: Float32Array,
  b: Float32Array,
  [rows, left, right]: readonly [number, number, number],
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(left * right);
  for (const [from, to] of panels(rows, left + right)) {
    const count = to - from;
    const product = hostNumbers(() =>
      tf.matMul(
        tf.tensor2d(a.subarray(from * left, to * left), [count, left]),
        tf.tensor2d(b.subarray(from * right, to * right), [count, right]),
        true,
        false,
      ),
    );
    product.forEach((value, at) => (out[at]! += value));
  }
  return out;
}

function panels(rows: number, width: number): (readonly [number, number])[] {
  const height = Math.max(1, Math.floor(PANEL_NUMBERS / width));
  return Array.from({ length: Math.ceil(rows / height) }, (_, i) => [
    i * height,
    Math.min(rows, (i + 1) * height),
  ]);
}
