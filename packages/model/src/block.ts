/**
 * One block (model.md, section 1), forward and backward, on packed rows: the pre-norm recurrence and the gated
 * feed-forward layer, each with its residual. The backward pass is written by hand, so that no tape keeps
 * intermediate tensors and no backend needs a gradient kernel.
 *
 * Must run inside a `tf.tidy`; nothing here disposes.
 */
import * as tf from '@tensorflow/tfjs-core';
import {
  addMasked,
  applyMask,
  diagonalScan,
  diagonalScanBackward,
  gatedUnit,
  gatedUnitBackward,
  lambdaOf,
  nestedLinear,
  nestedLinearBackward,
  rowDots,
  scaleRows,
  segmentNorm,
  segmentNormBackward,
  type Lambda,
  type PackedRows,
  type SegmentMatrices,
  type SegmentNormForward,
  type TensorMap,
} from '@nestrec/tensor';
import { nestedShape } from '@nestrec/parameters';
import { PARAMS_LOG } from '@nestrec/parameters';

/** Constants of a model that every block shares. */
export interface BlockConstants {
  readonly sizes: readonly number[];
  readonly matrices: SegmentMatrices;
  /** By packed shape: real [D, D], in-projection [2D, D], out-projection [D, 2D]. */
  readonly masks: {
    readonly real: tf.Tensor2D;
    readonly input: tf.Tensor2D;
    readonly output: tf.Tensor2D;
  };
}

/** Where the rows of a batch stand, and which of them have no history. */
export interface RowLayout extends PackedRows {
  readonly silent: Uint8Array;
}

/** Dropout masks [rows, D] of one block; null = keep all. */
export interface BlockMasks {
  readonly recurrence: tf.Tensor2D | null;
  readonly inner: tf.Tensor2D | null;
  readonly output: tf.Tensor2D | null;
}

export interface BlockForward {
  readonly output: tf.Tensor2D;
  readonly saved: Saved;
}

interface Saved {
  readonly norm1: SegmentNormForward;
  readonly lambda: Lambda;
  readonly gamma: tf.Tensor;
  readonly inputWeight: tf.Tensor2D;
  readonly inputBias: tf.Tensor | null;
  /** [rows, 2D], [Re h | -Im h]. */
  readonly hidden: tf.Tensor2D;
  readonly norm2: SegmentNormForward;
  readonly gate: tf.Tensor2D;
  readonly value: tf.Tensor2D;
  readonly inner: tf.Tensor2D;
}

const LINEAR = {
  input: 'lru_layer.in_proj',
  output: 'lru_layer.out_proj',
  gate: 'feed_forward.gate',
  value: 'feed_forward.w_1',
  last: 'feed_forward.w_2',
} as const;
const NORM1 = 'input_layernorm';
const NORM2 = 'post_lru_layernorm';

const weightOf = (tensors: TensorMap, linear: string) =>
  tensors.get(`${linear}.weight`) as tf.Tensor2D;

/** gamma twice, for real and imaginary parts, [2D]; and lambda. */
function recurrence(tensors: TensorMap): { gamma: tf.Tensor; lambda: Lambda } {
  const logs = tensors.get(PARAMS_LOG)!.dataSync();
  const width = logs.length / 3;
  const gamma = Float32Array.from({ length: 2 * width }, (_, i) =>
    Math.exp(logs[2 * width + (i % width)]!),
  );
  return {
    gamma: tf.tensor1d(gamma),
    lambda: lambdaOf(logs.subarray(0, width), logs.subarray(width, 2 * width)),
  };
}

function linear(
  x: tf.Tensor2D,
  tensors: TensorMap,
  name: string,
  sizes: readonly number[],
): tf.Tensor2D {
  const bias = tensors.get(`${name}.bias`) ?? null;
  return nestedLinear(x, weightOf(tensors, name), bias, nestedShape(sizes, name));
}

function norm(
  x: tf.Tensor2D,
  tensors: TensorMap,
  name: string,
  matrices: SegmentMatrices,
): SegmentNormForward {
  return segmentNorm(x, tensors.get(`${name}.weight`)!, tensors.get(`${name}.bias`)!, matrices);
}

/** x [rows, D] -> x' [rows, D]. */
export function blockForward(
  x: tf.Tensor2D,
  tensors: TensorMap,
  layout: RowLayout,
  masks: BlockMasks,
  { sizes, matrices }: BlockConstants,
): BlockForward {
  const norm1 = norm(x, tensors, NORM1, matrices);
  const { gamma, lambda } = recurrence(tensors);
  // gamma is folded into the in-projection: one pass over [rows, 2D] less, and its gradient comes from the weight's.
  const inputWeight = scaleRows(weightOf(tensors, LINEAR.input), gamma);
  const bias = tensors.get(`${LINEAR.input}.bias`);
  const inputBias = bias === undefined ? null : tf.mul(bias, gamma);
  const v = nestedLinear(norm1.output, inputWeight, inputBias, nestedShape(sizes, LINEAR.input));
  const hidden = diagonalScan(v, lambda, layout, layout.silent);
  const a = addMasked(x, readHidden(hidden, tensors, sizes), masks.recurrence);
  const norm2 = norm(a, tensors, NORM2, matrices);
  const gate = linear(norm2.output, tensors, LINEAR.gate, sizes);
  const value = linear(norm2.output, tensors, LINEAR.value, sizes);
  const inner = gatedUnit(gate, value, masks.inner);
  const last = linear(inner, tensors, LINEAR.last, sizes);
  const saved = {
    norm1,
    lambda,
    gamma,
    inputWeight,
    inputBias,
    hidden,
    norm2,
    gate,
    value,
    inner,
  };
  return { output: addMasked(a, last, masks.output), saved };
}

/** Re(Cc h + bC) from [Re h | -Im h]; the bias' imaginary half is left out. */
function readHidden(
  hidden: tf.Tensor2D,
  tensors: TensorMap,
  sizes: readonly number[],
): tf.Tensor2D {
  const width = sizes.at(-1)!;
  const bias = tensors.get(`${LINEAR.output}.bias`);
  const real = bias === undefined ? null : tf.slice(bias, [0], [width]);
  return nestedLinear(
    hidden,
    weightOf(tensors, LINEAR.output),
    real,
    nestedShape(sizes, LINEAR.output),
  );
}

export interface BlockGradients {
  readonly x: tf.Tensor2D;
  /** By name within the block. */
  readonly parameters: ReadonlyMap<string, tf.Tensor>;
}

/** @param upstream gradient by x', [rows, D]. */
export function blockBackward(
  upstream: tf.Tensor2D,
  saved: Saved,
  tensors: TensorMap,
  layout: RowLayout,
  masks: BlockMasks,
  constants: BlockConstants,
): BlockGradients {
  const parameters = new Map<string, tf.Tensor>();
  const backLinear = (dy: tf.Tensor2D, x: tf.Tensor2D, name: string): tf.Tensor2D => {
    const shape = nestedShape(constants.sizes, name);
    const gradients = nestedLinearBackward(
      dy,
      x,
      weightOf(tensors, name),
      constants.masks.real,
      shape,
    );
    parameters.set(`${name}.weight`, gradients.weight);
    if (tensors.has(`${name}.bias`)) parameters.set(`${name}.bias`, gradients.bias);
    return gradients.x;
  };
  const backNorm = (dy: tf.Tensor2D, forward: SegmentNormForward, name: string): tf.Tensor2D => {
    const gradients = segmentNormBackward(
      dy,
      forward,
      tensors.get(`${name}.weight`)!,
      constants.matrices,
    );
    parameters.set(`${name}.weight`, gradients.gain);
    parameters.set(`${name}.bias`, gradients.bias);
    return gradients.x;
  };

  const dInner = backLinear(applyMask(upstream, masks.output), saved.inner, LINEAR.last);
  const unit = gatedUnitBackward(dInner, saved.gate, saved.value, masks.inner);
  const dNorm2 = addMasked(
    backLinear(unit.gate, saved.norm2.output, LINEAR.gate),
    backLinear(unit.value, saved.norm2.output, LINEAR.value),
    null,
  );
  const da = addMasked(upstream, backNorm(dNorm2, saved.norm2, NORM2), null);

  const dNorm1 = backRecurrence(
    applyMask(da, masks.recurrence),
    saved,
    tensors,
    layout,
    constants,
    parameters,
  );
  return { x: addMasked(da, backNorm(dNorm1, saved.norm1, NORM1), null), parameters };
}

/** From the gradient by the readout to that by u; adds the gradients of both projections and of params_log. */
function backRecurrence(
  upstream: tf.Tensor2D,
  saved: Saved,
  tensors: TensorMap,
  layout: RowLayout,
  { sizes, masks }: BlockConstants,
  parameters: Map<string, tf.Tensor>,
): tf.Tensor2D {
  const width = sizes.at(-1)!;
  const shape = nestedShape(sizes, LINEAR.output);
  const weight = weightOf(tensors, LINEAR.output);
  const output = nestedLinearBackward(upstream, saved.hidden, weight, masks.output, shape);
  parameters.set(`${LINEAR.output}.weight`, output.weight);
  if (tensors.has(`${LINEAR.output}.bias`)) {
    parameters.set(`${LINEAR.output}.bias`, tf.pad(output.bias, [[0, width]]));
  }
  const scan = diagonalScanBackward(output.x, saved.hidden, saved.lambda, layout, layout.silent);
  const inputShape = nestedShape(sizes, LINEAR.input);
  const input = nestedLinearBackward(
    scan.v,
    saved.norm1.output,
    saved.inputWeight,
    masks.input,
    inputShape,
  );
  parameters.set(`${LINEAR.input}.weight`, scaleRows(input.weight, saved.gamma));
  // v = gamma * (...), so d/d gamma_log = sum of v * dv = sum of weight * its gradient, and the same for the bias.
  let dGamma: tf.Tensor = rowDots(saved.inputWeight, input.weight);
  if (saved.inputBias !== null) {
    parameters.set(`${LINEAR.input}.bias`, tf.mul(input.bias, saved.gamma));
    dGamma = tf.add(dGamma, tf.mul(saved.inputBias, input.bias));
  }
  const dGammaLog = tf.sum(tf.reshape(dGamma, [2, width]), 0);
  const logs = [scan.nuLog, scan.thetaLog].map((values) => tf.tensor1d(values));
  parameters.set(PARAMS_LOG, tf.stack([...logs, dGammaLog]));
  return input.x;
}
