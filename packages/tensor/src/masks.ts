/** Dropout masks laid over activations, and the residual sum that follows them. A mask of null keeps everything. */
import * as tf from '@tensorflow/tfjs-core';
import { activeNative } from './native/native-backend.js';
import { nativeAddMasked, nativeMask } from './native/native-operations.js';

/** x * mask; x itself where there is no mask. */
export function applyMask(x: tf.Tensor2D, mask: tf.Tensor2D | null): tf.Tensor2D {
  if (mask === null) return x;
  const native = activeNative();
  return native === null ? tf.mul(x, mask) : nativeMask(native, x, mask);
}

/** x + mask * branch */
export function addMasked(
  x: tf.Tensor2D,
  branch: tf.Tensor2D,
  mask: tf.Tensor2D | null,
): tf.Tensor2D {
  const native = activeNative();
  if (native !== null) return nativeAddMasked(native, x, branch, mask);
  return tf.tidy(() => tf.add(x, applyMask(branch, mask)));
}
