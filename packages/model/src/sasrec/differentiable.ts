/**
 * Operations with their own gradients, for TensorFlow.js to put together by its tape: for a network whose backward pass
 * is not written out. Most stand for the operation of @nestrec/tensor of that name.
 *
 * The gradients that TensorFlow.js has itself are registered by its umbrella package alone, and some want kernels that
 * wasm lacks; these here need neither.
 */
import * as tf from '@tensorflow/tfjs-core';
import {
  addMasked,
  applyMask,
  gatherRows,
  nestedCrossEntropy,
  nestedLinear,
  nestedLinearBackward,
  scatterAddRows,
  segmentNorm,
  segmentNormBackward,
  type NestedShape,
  type SegmentMatrices,
} from '@nestrec/tensor';

type Save = (tensors: tf.Tensor[]) => void;

export interface Forward<T extends tf.Tensor> {
  readonly value: T;
  /** What the gradient needs beside the inputs; nothing else that the forward pass made is still there. */
  readonly saved?: readonly tf.Tensor[];
}

/** @param backward the gradient by every input, in order, from that by the value, the inputs and what was saved */
export function differentiable<T extends tf.Tensor, X extends readonly tf.Tensor[]>(
  inputs: X,
  forward: () => Forward<T>,
  backward: (upstream: T, inputs: X, saved: readonly tf.Tensor[]) => tf.Tensor[],
): T {
  return tf.customGrad<T>((...args) => {
    const { value, saved = [] } = forward();
    (args.at(-1) as Save)([...inputs, ...saved]);
    return {
      value,
      gradFunc: (upstream, kept: tf.Tensor[]) =>
        backward(upstream, kept.slice(0, inputs.length) as unknown as X, kept.slice(inputs.length)),
    };
  })(...inputs);
}

/** Rows `indices` of a table [N, D], with repeats: [n, D]. */
export function lookUp(table: tf.Tensor2D, indices: Int32Array): tf.Tensor2D {
  const rows = table.shape[0];
  return differentiable(
    [table],
    () => ({ value: gatherRows(table, indices) }),
    (upstream) => [scatterAddRows(indices, upstream, rows)],
  );
}

/** x + mask * branch; a mask of null keeps everything. */
export function addDropped(
  x: tf.Tensor2D,
  branch: tf.Tensor2D,
  mask: tf.Tensor2D | null,
): tf.Tensor2D {
  return differentiable(
    [x, branch],
    () => ({ value: addMasked(x, branch, mask), saved: mask === null ? [] : [mask] }),
    (upstream, _inputs, [kept]) => [
      tf.clone(upstream),
      kept === undefined ? tf.clone(upstream) : applyMask(upstream, kept as tf.Tensor2D),
    ],
  );
}

export function scale(x: tf.Tensor2D, factor: number): tf.Tensor2D {
  return differentiable(
    [x],
    () => ({ value: tf.mul(x, factor) as tf.Tensor2D }),
    (upstream) => [tf.mul(upstream, factor)],
  );
}

export function relu(x: tf.Tensor2D): tf.Tensor2D {
  return differentiable(
    [x],
    () => ({ value: tf.relu(x) }),
    (upstream, [at]) => [tf.mul(upstream, tf.cast(tf.greater(at, 0), 'float32'))],
  );
}

/** x * mask; a mask of null keeps everything. */
export function dropped(x: tf.Tensor2D, mask: tf.Tensor2D | null): tf.Tensor2D {
  if (mask === null) return x;
  return differentiable(
    [x],
    () => ({ value: applyMask(x, mask), saved: [mask] }),
    (upstream, _inputs, [kept]) => [applyMask(upstream, kept as tf.Tensor2D)],
  );
}

/** x W^T + b: x [n, D], W [D, D], b [D] or none. @param ones [D, D] of ones */
export function linear(
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  bias: tf.Tensor1D | null,
  ones: tf.Tensor2D,
): tf.Tensor2D {
  const shape: NestedShape = { sizes: [x.shape[1]], outParts: 1, inParts: 1 };
  const inputs = [x, weight, ...(bias === null ? [] : [bias])] as const;
  return differentiable(
    inputs,
    () => ({ value: nestedLinear(x, weight, bias, shape) }),
    (upstream, [at, by]) => {
      const gradients = nestedLinearBackward(upstream, at, by, ones, shape);
      const own = [gradients.x, gradients.weight];
      return bias === null ? own : [...own, gradients.bias];
    },
  );
}

/** LayerNorm of the rows of x [n, D], with gain and bias [D]. @param whole matrices of the single segment D */
export function layerNorm(
  x: tf.Tensor2D,
  gain: tf.Tensor1D,
  bias: tf.Tensor1D,
  whole: SegmentMatrices,
): tf.Tensor2D {
  return differentiable(
    [x, gain, bias] as const,
    () => {
      const { output, normalised, inverseDeviation } = segmentNorm(x, gain, bias, whole);
      return { value: output, saved: [normalised, inverseDeviation] };
    },
    (upstream, [, by], saved) => {
      const [normalised, inverseDeviation] = saved as [tf.Tensor2D, tf.Tensor2D];
      const forward = { normalised, inverseDeviation };
      const gradients = segmentNormBackward(upstream, forward, by, whole);
      return [gradients.x, gradients.gain, gradients.bias];
    },
  );
}

/**
 * Mean cross-entropy of `targets` among all rows of `items` [I, D], by the scores states [n, D] times items. To be
 * differentiated itself, not a function of it: the gradient takes its own upstream for 1.
 */
export function meanCrossEntropy(
  states: tf.Tensor2D,
  items: tf.Tensor2D,
  targets: Int32Array,
): tf.Scalar {
  return differentiable(
    [states, items],
    () => {
      const { loss, gradients } = nestedCrossEntropy({
        ...{ states, items, targets },
        ...{ sizes: [states.shape[1]], weights: [1], logScales: null },
      });
      return { value: tf.scalar(loss), saved: [gradients.states, gradients.items] };
    },
    (_upstream, _inputs, saved) => saved.map((gradient) => tf.clone(gradient)),
  );
}
