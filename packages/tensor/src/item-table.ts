/**
 * The item vectors as a tensor, E [N + 1, D]: row 0 is the padding row p, row i is P f_i + p + R_i (model.md, sections 1
 * and 6a), and the way back from the gradient of E to those of P, p and R.
 */
import * as tf from '@tensorflow/tfjs-core';
import { applyMask } from './masks.js';
import { activeNative } from './native/native-backend.js';
import { nativeItemTable, nativeItemTableBackward } from './native/native-tables.js';
import { columnSums } from './segment-norm.js';

export interface ItemTableInput {
  readonly sizes: readonly number[];
  /** N, without the padding row. */
  readonly items: number;
  /** [N + 1, F], row 0 zeros; null where the model has none, and then there is no projector. */
  readonly features: tf.Tensor2D | null;
  /** P [D, F] */
  readonly projector: tf.Tensor2D | null;
  /** p [D] */
  readonly bias: tf.Tensor;
  /** R [N, D], or none. */
  readonly residual: tf.Tensor2D | null;
  /** Factors of R by item and segment, [N, M]; null = 1. */
  readonly residualMask: tf.Tensor2D | null;
  /** [M, D]: repeats a segment's value over its coordinates. */
  readonly spread: tf.Tensor2D;
}

const NONE: [number, number] = [0, 0];

const spreadMask = ({ residualMask, spread }: Pick<ItemTableInput, 'residualMask' | 'spread'>) =>
  residualMask === null ? null : (tf.matMul(residualMask, spread) as tf.Tensor2D);

export function itemTable(input: ItemTableInput): tf.Tensor2D {
  const native = activeNative();
  if (native !== null) return nativeItemTable(native, input);
  return tf.tidy(() => {
    const { items, features, projector, bias, residual } = input;
    const projected =
      features === null || projector === null
        ? tf.zeros([items + 1, bias.shape[0]!])
        : tf.matMul(features, tf.transpose(projector));
    const rows = tf.add(projected, bias) as tf.Tensor2D;
    if (residual === null) return rows;
    const kept = applyMask(residual, spreadMask(input));
    return tf.add(rows, tf.pad(kept, [[1, 0], NONE])) as tf.Tensor2D;
  });
}

export interface ItemTableGradients {
  readonly projector: tf.Tensor2D | null;
  readonly bias: tf.Tensor1D;
  readonly residual: tf.Tensor2D | null;
}

/** Gradients by P, p and R from that by E, [N + 1, D]. */
export function itemTableBackward(
  upstream: tf.Tensor2D,
  input: Omit<ItemTableInput, 'bias' | 'projector'>,
): ItemTableGradients {
  const native = activeNative();
  if (native !== null) return nativeItemTableBackward(native, upstream, input);
  return tf.tidy(() => {
    const { items, features, residual } = input;
    const width = upstream.shape[1];
    const own = residual === null ? null : tf.slice(upstream, [1, 0], [items, width]);
    return {
      projector: features === null ? null : tf.matMul(tf.transpose(upstream), features),
      bias: columnSums(upstream),
      residual: own === null ? null : applyMask(own, spreadMask(input)),
    } as unknown as tf.NamedTensorMap;
  }) as unknown as ItemTableGradients;
}
