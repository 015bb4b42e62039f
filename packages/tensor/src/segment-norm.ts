/**
 * LayerNorm on each segment by itself. A LayerNorm over all of D would let wide coordinates change narrow
 * ones; this keeps every prefix a model of its own.
 *
 * Segment means are products with constant matrices: no kernel slices columns, which is slow on wasm.
 */
import * as tf from '@tensorflow/tfjs-core';
import { activeNative } from './native/native-backend.js';
import { nativeNorm, nativeNormBackward } from './native/native-operations.js';
import type { SegmentMatrices } from './segments.js';

export const NORM_EPSILON = 1e-5;

export interface SegmentNormForward {
  readonly output: tf.Tensor2D;
  /** (x - mean) / deviation, kept for the backward pass. */
  readonly normalised: tf.Tensor2D;
  /** 1 / deviation of each row's segments; its shape is the backend's affair. */
  readonly inverseDeviation: tf.Tensor2D;
}

/** x [n, D], gain and bias [D]. The caller disposes all three results (or runs inside a tidy). */
export function segmentNorm(
  x: tf.Tensor2D,
  gain: tf.Tensor,
  bias: tf.Tensor,
  { average, spread, ends }: SegmentMatrices,
): SegmentNormForward {
  const native = activeNative();
  if (native !== null) return nativeNorm(native, x, gain, bias, ends);
  return tf.tidy(() => {
    const centred = tf.sub(x, tf.matMul(tf.matMul(x, average), spread));
    const variance = tf.matMul(tf.square(centred) as tf.Tensor2D, average);
    const inverseDeviation = tf.matMul(tf.rsqrt(tf.add(variance, NORM_EPSILON)), spread);
    const normalised = tf.mul(centred, inverseDeviation) as tf.Tensor2D;
    const output = tf.add(tf.mul(normalised, gain), bias) as tf.Tensor2D;
    return { output, normalised, inverseDeviation } as unknown as tf.NamedTensorMap;
  }) as unknown as SegmentNormForward;
}

export interface SegmentNormGradients {
  readonly x: tf.Tensor2D;
  readonly gain: tf.Tensor1D;
  readonly bias: tf.Tensor1D;
}

export function segmentNormBackward(
  upstream: tf.Tensor2D,
  forward: Pick<SegmentNormForward, 'normalised' | 'inverseDeviation'>,
  gain: tf.Tensor,
  { average, spread, ends }: SegmentMatrices,
): SegmentNormGradients {
  const native = activeNative();
  if (native !== null) return nativeNormBackward(native, upstream, forward, gain, ends);
  return tf.tidy(() => {
    const dNormalised = tf.mul(upstream, gain) as tf.Tensor2D;
    const mean = tf.matMul(dNormalised, average);
    const projected = tf.matMul(tf.mul(dNormalised, forward.normalised) as tf.Tensor2D, average);
    const x = tf.mul(
      forward.inverseDeviation,
      tf.sub(
        tf.sub(dNormalised, tf.matMul(mean, spread)),
        tf.mul(forward.normalised, tf.matMul(projected, spread)),
      ),
    );
    return {
      x,
      gain: columnSums(tf.mul(upstream, forward.normalised) as tf.Tensor2D),
      bias: columnSums(upstream),
    } as unknown as tf.NamedTensorMap;
  }) as unknown as SegmentNormGradients;
}

/** Sums over rows [n, D] -> [D], as a product: four times faster than `tf.sum(x, 0)` on wasm. */
export function columnSums(x: tf.Tensor2D): tf.Tensor1D {
  return tf.tidy(() =>
    tf.reshape(tf.matMul(tf.ones([1, x.shape[0]]) as tf.Tensor2D, x), [x.shape[1]]),
  ) as tf.Tensor1D;
}
