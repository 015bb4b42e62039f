/**
 * The item vectors as a tensor, E [N + 1, D]: row 0 is the padding row p, row i is P f_i + p + R_i, and the
 * way back from the gradient of E to those of P, p and R.
 *
 * Must run inside a `tf.tidy`.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { TensorMap } from '@nestrec/tensor';
import { ITEM_RESIDUAL, PROJECTOR_BIAS, PROJECTOR_WEIGHT } from '@nestrec/parameters';

/**
 * @param features [N + 1, F], row 0 zeros; null where the model has none.
 * @param residualMask [N, D] or null.
 */
export function itemRows(
  parameters: TensorMap,
  features: tf.Tensor2D | null,
  numItems: number,
  residualMask: tf.Tensor2D | null,
): tf.Tensor2D {
  const bias = parameters.get(PROJECTOR_BIAS)!;
  const weight = parameters.get(PROJECTOR_WEIGHT) as tf.Tensor2D | undefined;
  const projected =
    features === null || weight === undefined
      ? tf.zeros([numItems + 1, bias.shape[0]!])
      : tf.matMul(features, tf.transpose(weight) as tf.Tensor2D);
  const rows = tf.add(projected, bias) as tf.Tensor2D;
  const residual = parameters.get(ITEM_RESIDUAL) as tf.Tensor2D | undefined;
  if (residual === undefined) return rows;
  const kept = residualMask === null ? residual : tf.mul(residual, residualMask);
  const padding: [number, number][] = [
    [1, 0],
    [0, 0],
  ];
  return tf.add(rows, tf.pad(kept, padding)) as tf.Tensor2D;
}

/** Gradients by P, p and R from that by E, [N + 1, D]. */
export function itemRowsBackward(
  upstream: tf.Tensor2D,
  parameters: TensorMap,
  features: tf.Tensor2D | null,
  residualMask: tf.Tensor2D | null,
): Map<string, tf.Tensor> {
  const gradients = new Map<string, tf.Tensor>();
  const [rows, width] = upstream.shape;
  if (features !== null && parameters.has(PROJECTOR_WEIGHT)) {
    const columns = tf.transpose(upstream) as tf.Tensor2D;
    gradients.set(PROJECTOR_WEIGHT, tf.matMul(columns, features));
  }
  const sums = tf.matMul(tf.ones([1, rows]) as tf.Tensor2D, upstream);
  gradients.set(PROJECTOR_BIAS, tf.reshape(sums, [width]));
  if (parameters.has(ITEM_RESIDUAL)) {
    const own = tf.slice(upstream, [1, 0], [rows - 1, width]);
    gradients.set(ITEM_RESIDUAL, residualMask === null ? own : tf.mul(own, residualMask));
  }
  return gradients;
}
