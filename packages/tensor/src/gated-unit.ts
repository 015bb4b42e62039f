/** The gated unit SiLU(gate) * value * mask, and its gradients (model.md, section 1). */
import * as tf from '@tensorflow/tfjs-core';
import { applyMask } from './masks.js';
import { activeNative } from './native/native-backend.js';
import { nativeGate, nativeGateBackward } from './native/native-operations.js';

/** All [rows, D]; a mask of null keeps everything. */
export function gatedUnit(
  gate: tf.Tensor2D,
  value: tf.Tensor2D,
  mask: tf.Tensor2D | null,
): tf.Tensor2D {
  const native = activeNative();
  if (native !== null) return nativeGate(native, gate, value, mask);
  return tf.tidy(() => tf.mul(tf.mul(gate, tf.sigmoid(gate)), applyMask(value, mask)));
}

export interface GatedUnitGradients {
  readonly gate: tf.Tensor2D;
  readonly value: tf.Tensor2D;
}

export function gatedUnitBackward(
  upstream: tf.Tensor2D,
  gate: tf.Tensor2D,
  value: tf.Tensor2D,
  mask: tf.Tensor2D | null,
): GatedUnitGradients {
  const native = activeNative();
  if (native !== null) return nativeGateBackward(native, upstream, gate, value, mask);
  return tf.tidy(() => {
    const kept = applyMask(upstream, mask);
    const sigmoid = tf.sigmoid(gate);
    const silu = tf.mul(gate, sigmoid);
    // d silu / d gate = sigmoid * (1 + gate * (1 - sigmoid)) = sigmoid + silu - silu * sigmoid
    const slope = tf.add(sigmoid, tf.sub(silu, tf.mul(silu, sigmoid)));
    return {
      gate: tf.mul(tf.mul(kept, value), slope),
      value: tf.mul(kept, silu),
    } as unknown as tf.NamedTensorMap;
  }) as unknown as GatedUnitGradients;
}
