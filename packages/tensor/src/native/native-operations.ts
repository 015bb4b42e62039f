/**
 * The fused operations on the native backend, over tensors: each reads its inputs' arrays, has C fill its outputs, and
 * counts as one entry of `traceOperations`. The files of the operations say what they compute.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type { Lambda } from '../diagonal-scan.js';
import type { MaskDraw } from '../dropout.js';
import type { NestedShape } from '../nested-linear.js';
import type { PackedRows } from '../packed-rows.js';
import type { NativeBackend } from './native-backend.js';
import { traced } from '../trace.js';

type Maybe<T> = T | null;

const shapeOf = (x: tf.Tensor2D): [number, number] => x.shape;
const optional = (native: NativeBackend, x: Maybe<tf.Tensor>) =>
  x === null ? null : native.numbersOf(x);

export function nativeNorm(
  native: NativeBackend,
  x: tf.Tensor2D,
  gain: tf.Tensor,
  bias: tf.Tensor,
  sizes: Int32Array,
) {
  const [rows, width] = shapeOf(x);
  const output = native.output<tf.Tensor2D>([rows, width]);
  const normalised = native.output<tf.Tensor2D>([rows, width]);
  const inverse = native.output<tf.Tensor2D>([rows, sizes.length]);
  traced('segmentNorm', () =>
    native.operations.segmentNorm(
      ...([sizes, native.numbersOf(x), native.numbersOf(gain), native.numbersOf(bias)] as const),
      ...([output.numbers, normalised.numbers, inverse.numbers] as const),
    ),
  );
  return {
    output: output.tensor,
    normalised: normalised.tensor,
    inverseDeviation: inverse.tensor,
  };
}

export function nativeNormBackward(
  native: NativeBackend,
  upstream: tf.Tensor2D,
  forward: { readonly normalised: tf.Tensor2D; readonly inverseDeviation: tf.Tensor2D },
  gain: tf.Tensor,
  sizes: Int32Array,
) {
  const [rows, width] = shapeOf(upstream);
  const x = native.output<tf.Tensor2D>([rows, width]);
  const dGain = native.output<tf.Tensor1D>([width]);
  const dBias = native.output<tf.Tensor1D>([width]);
  traced('segmentNormBackward', () =>
    native.operations.segmentNormBackward(
      ...([sizes, native.numbersOf(upstream), native.numbersOf(gain)] as const),
      ...([
        native.numbersOf(forward.normalised),
        native.numbersOf(forward.inverseDeviation),
      ] as const),
      ...([x.numbers, dGain.numbers, dBias.numbers] as const),
    ),
  );
  return { x: x.tensor, gain: dGain.tensor, bias: dBias.tensor };
}

export function nativeLinear(
  native: NativeBackend,
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  bias: Maybe<tf.Tensor>,
  { sizes, outParts, inParts }: NestedShape,
): tf.Tensor2D {
  const y = native.output<tf.Tensor2D>([x.shape[0], outParts * sizes.at(-1)!]);
  traced('nestedLinear', () =>
    native.operations.nestedLinear(
      ...([Int32Array.from(sizes), outParts, inParts, native.numbersOf(x)] as const),
      ...([native.numbersOf(weight), optional(native, bias), y.numbers] as const),
    ),
  );
  return y.tensor;
}

export function nativeLinearBackward(
  native: NativeBackend,
  upstream: tf.Tensor2D,
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  { sizes, outParts, inParts }: NestedShape,
) {
  const dX = native.output<tf.Tensor2D>(x.shape);
  const dWeight = native.output<tf.Tensor2D>(weight.shape);
  const dBias = native.output<tf.Tensor1D>([weight.shape[0]]);
  traced('nestedLinearBackward', () =>
    native.operations.nestedLinearBackward(
      ...([Int32Array.from(sizes), outParts, inParts, native.numbersOf(x)] as const),
      ...([native.numbersOf(weight), native.numbersOf(upstream)] as const),
      ...([dX.numbers, dWeight.numbers, dBias.numbers] as const),
    ),
  );
  return { x: dX.tensor, weight: dWeight.tensor, bias: dBias.tensor };
}

export function nativeScan(
  native: NativeBackend,
  v: tf.Tensor2D,
  { real, imaginary }: Lambda,
  { active, start }: PackedRows,
  silent: Uint8Array,
): tf.Tensor2D {
  const h = native.output<tf.Tensor2D>(v.shape);
  traced('diagonalScan', () =>
    native.operations.diagonalScan(
      ...([active, start, silent, real, imaginary, native.numbersOf(v), h.numbers] as const),
    ),
  );
  return h.tensor;
}

/** Gradients by v and by both halves of lambda. */
export function nativeScanBackward(
  native: NativeBackend,
  upstream: tf.Tensor2D,
  h: tf.Tensor2D,
  { real, imaginary }: Lambda,
  { active, start }: PackedRows,
  silent: Uint8Array,
) {
  const v = native.output<tf.Tensor2D>(upstream.shape);
  v.numbers.set(native.numbersOf(upstream));
  const dReal = new Float64Array(real.length);
  const dImaginary = new Float64Array(real.length);
  traced('diagonalScanBackward', () =>
    native.operations.diagonalScanBackward(
      ...([active, start, silent, real, imaginary, native.numbersOf(h)] as const),
      ...([v.numbers, dReal, dImaginary] as const),
    ),
  );
  return { v: v.tensor, dReal, dImaginary };
}

export function nativeGate(
  native: NativeBackend,
  gate: tf.Tensor2D,
  value: tf.Tensor2D,
  mask: Maybe<tf.Tensor2D>,
): tf.Tensor2D {
  const out = native.output<tf.Tensor2D>(gate.shape);
  traced('gatedUnit', () =>
    native.operations.gatedUnit(
      ...([native.numbersOf(gate), native.numbersOf(value)] as const),
      ...([optional(native, mask), out.numbers] as const),
    ),
  );
  return out.tensor;
}

export function nativeGateBackward(
  native: NativeBackend,
  upstream: tf.Tensor2D,
  gate: tf.Tensor2D,
  value: tf.Tensor2D,
  mask: Maybe<tf.Tensor2D>,
) {
  const dGate = native.output<tf.Tensor2D>(gate.shape);
  const dValue = native.output<tf.Tensor2D>(gate.shape);
  traced('gatedUnitBackward', () =>
    native.operations.gatedUnitBackward(
      ...([native.numbersOf(upstream), native.numbersOf(gate), native.numbersOf(value)] as const),
      ...([optional(native, mask), dGate.numbers, dValue.numbers] as const),
    ),
  );
  return { gate: dGate.tensor, value: dValue.tensor };
}

/** a + mask * b */
export function nativeAddMasked(
  native: NativeBackend,
  a: tf.Tensor2D,
  b: tf.Tensor2D,
  mask: Maybe<tf.Tensor2D>,
): tf.Tensor2D {
  const out = native.output<tf.Tensor2D>(a.shape);
  traced('addMasked', () =>
    native.operations.addMasked(
      ...([native.numbersOf(a), native.numbersOf(b), optional(native, mask), out.numbers] as const),
    ),
  );
  return out.tensor;
}

export function nativeMask(native: NativeBackend, a: tf.Tensor2D, mask: tf.Tensor2D): tf.Tensor2D {
  const out = native.output<tf.Tensor2D>(a.shape);
  traced('multiplyMask', () =>
    native.operations.multiplyMask(native.numbersOf(a), native.numbersOf(mask), out.numbers),
  );
  return out.tensor;
}

export function nativeDropout(
  native: NativeBackend,
  { seed, sizes, thresholds, kept }: MaskDraw,
  rows: number,
  picked: Maybe<Int32Array>,
): tf.Tensor2D {
  const mask = native.output<tf.Tensor2D>([rows, sizes.at(-1)!]);
  traced('dropoutMask', () =>
    native.operations.dropoutMask(
      ...([Int32Array.from(sizes), thresholds, kept, seed, picked, mask.numbers] as const),
    ),
  );
  return mask.tensor;
}

/** Row i of x times factors[i]. */
export function nativeScaleRows(
  native: NativeBackend,
  x: tf.Tensor2D,
  factors: tf.Tensor,
): tf.Tensor2D {
  const out = native.output<tf.Tensor2D>(x.shape);
  traced('scaleRows', () =>
    native.operations.scaleRows(native.numbersOf(x), native.numbersOf(factors), out.numbers),
  );
  return out.tensor;
}

export function nativeRowDots(native: NativeBackend, x: tf.Tensor2D, y: tf.Tensor2D): tf.Tensor1D {
  const out = native.output<tf.Tensor1D>([x.shape[0]]);
  traced('rowDots', () =>
    native.operations.rowDots(native.numbersOf(x), native.numbersOf(y), out.numbers),
  );
  return out.tensor;
}

export function nativeGather(
  native: NativeBackend,
  table: tf.Tensor2D,
  indices: Int32Array,
): tf.Tensor2D {
  const out = native.output<tf.Tensor2D>([indices.length, table.shape[1]]);
  traced('gatherRows', () =>
    native.operations.gatherRows(native.numbersOf(table), table.shape[1], indices, out.numbers),
  );
  return out.tensor;
}

/** Zeros [rows, D] plus the rows of `values` at their indices. */
export function nativeScatter(
  native: NativeBackend,
  indices: Int32Array,
  values: tf.Tensor2D,
  rows: number,
): tf.Tensor2D {
  const out = native.output<tf.Tensor2D>([rows, values.shape[1]]);
  out.numbers.fill(0);
  return nativeAddRows(native, out.tensor, indices, values);
}

/** Adds the rows of `values` into the table itself. */
export function nativeAddRows(
  native: NativeBackend,
  table: tf.Tensor2D,
  indices: Int32Array,
  values: tf.Tensor2D,
): tf.Tensor2D {
  traced('addRows', () =>
    native.operations.addRows(
      ...([native.numbersOf(table), table.shape[1], indices, native.numbersOf(values)] as const),
    ),
  );
  return table;
}
