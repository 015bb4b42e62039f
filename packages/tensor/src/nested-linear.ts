/**
 * Nested linear layers as block lower-triangular products: y[segment i] depends on x[0:m_i] alone.
 *
 * A weight is one dense [outParts * D, inParts * D] matrix whose structural zeros stay zero (its gradient is
 * masked). A complex layer on real input has two out parts, [Re; Im]; a complex layer of which the real part
 * is kept has two in parts. Wide models are split into groups of segments, so that little of the zero half is
 * multiplied (three quarters of D^2 or less, against two thirds that are non-zero); narrow ones run as one
 * product, because slicing columns would cost more than it saves.
 */
import * as tf from '@tensorflow/tfjs-core';
import { activeNative } from './native/native-backend.js';
import { nativeLinear, nativeLinearBackward } from './native/native-operations.js';
import { columnSums } from './segment-norm.js';
import { segmentIndex } from './segments.js';

/** Segments that end at or below this width share one product. */
const DENSE_WIDTH = 256;

export interface NestedShape {
  readonly sizes: readonly number[];
  readonly outParts: 1 | 2;
  readonly inParts: 1 | 2;
}

interface Group {
  readonly begin: number;
  readonly end: number;
}

function groupsOf(sizes: readonly number[]): readonly Group[] {
  const ends = sizes.filter((_, i) => i === sizes.length - 1 || sizes[i + 1]! > DENSE_WIDTH);
  return ends.map((end, i) => ({ begin: i === 0 ? 0 : ends[i - 1]!, end }));
}

/** 1 where a weight may be non-zero: [outParts * D, inParts * D]. */
export function nestedMask({ sizes, outParts, inParts }: NestedShape): tf.Tensor2D {
  const width = sizes.at(-1)!;
  const segment = segmentIndex(sizes);
  const columns = inParts * width;
  const mask = new Float32Array(outParts * width * columns);
  for (let row = 0; row < outParts * width; row++) {
    for (let column = 0; column < columns; column++) {
      const inside = segment[column % width]! <= segment[row % width]!;
      if (inside) mask[row * columns + column] = 1;
    }
  }
  return tf.tensor2d(mask, [outParts * width, columns]);
}

/** Columns 0 .. end of every part of x [n, parts * D]. */
function prefixColumns(x: tf.Tensor2D, parts: number, end: number): tf.Tensor2D {
  const [rows, columns] = x.shape;
  const split = tf.reshape(x, [rows, parts, columns / parts]);
  return tf.reshape(tf.slice(split, [0, 0, 0], [rows, parts, end]), [rows, parts * end]);
}

/** The part of the weight that gives outputs begin .. end from inputs 0 .. end. */
function groupWeight(
  weight: tf.Tensor2D,
  { outParts, inParts }: NestedShape,
  { begin, end }: Group,
): tf.Tensor2D {
  const [rows, columns] = weight.shape;
  const split = tf.reshape(weight, [outParts, rows / outParts, inParts, columns / inParts]);
  const part = tf.slice(split, [0, begin, 0, 0], [outParts, end - begin, inParts, end]);
  return tf.reshape(part, [outParts * (end - begin), inParts * end]);
}

/** The outputs begin .. end of every part. */
function groupColumns(y: tf.Tensor2D, parts: number, { begin, end }: Group): tf.Tensor2D {
  const [rows, columns] = y.shape;
  const split = tf.reshape(y, [rows, parts, columns / parts]);
  const part = tf.slice(split, [0, 0, begin], [rows, parts, end - begin]);
  return tf.reshape(part, [rows, parts * (end - begin)]);
}

/** y = x W^T + bias: x [n, inParts * D], weight [outParts * D, inParts * D], bias [outParts * D] or null. */
export function nestedLinear(
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  bias: tf.Tensor | null,
  shape: NestedShape,
): tf.Tensor2D {
  const native = activeNative();
  if (native !== null) return nativeLinear(native, x, weight, bias, shape);
  return tf.tidy(() => {
    const product = nestedProduct(x, weight, shape);
    return bias === null ? product : (tf.add(product, bias) as tf.Tensor2D);
  });
}

function nestedProduct(x: tf.Tensor2D, weight: tf.Tensor2D, shape: NestedShape): tf.Tensor2D {
  const groups = groupsOf(shape.sizes);
  if (groups.length === 1) return tf.matMul(x, tf.transpose(weight) as tf.Tensor2D);
  const rows = x.shape[0];
  const parts = groups.map((group) => {
    const input = prefixColumns(x, shape.inParts, group.end);
    const output = tf.matMul(input, tf.transpose(groupWeight(weight, shape, group)) as tf.Tensor2D);
    return tf.reshape(output, [rows, shape.outParts, group.end - group.begin]);
  });
  return tf.reshape(tf.concat(parts, 2), [rows, weight.shape[0]]);
}

export interface NestedLinearGradients {
  readonly x: tf.Tensor2D;
  readonly weight: tf.Tensor2D;
  readonly bias: tf.Tensor1D;
}

/** @param mask of `nestedMask(shape)`: the gradient outside the structure is exactly 0. */
export function nestedLinearBackward(
  upstream: tf.Tensor2D,
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  mask: tf.Tensor2D,
  shape: NestedShape,
): NestedLinearGradients {
  const native = activeNative();
  if (native !== null) return nativeLinearBackward(native, upstream, x, weight, shape);
  return tf.tidy(() => {
    const groups = groupsOf(shape.sizes);
    const { dx, dWeight } =
      groups.length === 1
        ? {
            dx: tf.matMul(upstream, weight),
            dWeight: tf.matMul(tf.transpose(upstream) as tf.Tensor2D, x),
          }
        : groupedBackward(upstream, x, weight, shape, groups);
    const gradients = { x: dx, weight: tf.mul(dWeight, mask), bias: columnSums(upstream) };
    return gradients as unknown as tf.NamedTensorMap;
  }) as unknown as NestedLinearGradients;
}

function groupedBackward(
  upstream: tf.Tensor2D,
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  shape: NestedShape,
  groups: readonly Group[],
): { dx: tf.Tensor2D; dWeight: tf.Tensor2D } {
  const { outParts, inParts, sizes } = shape;
  const width = sizes.at(-1)!;
  const rows = x.shape[0];
  let dx: tf.Tensor = tf.zeros([rows, inParts, width]);
  const dWeights = groups.map((group) => {
    const { begin, end } = group;
    const dy = groupColumns(upstream, outParts, group);
    const part = tf.matMul(dy, groupWeight(weight, shape, group));
    const none: [number, number] = [0, 0];
    const padded = tf.pad(tf.reshape(part, [rows, inParts, end]), [none, none, [0, width - end]]);
    dx = tf.add(dx, padded);
    const dw = tf.matMul(tf.transpose(dy) as tf.Tensor2D, prefixColumns(x, inParts, end));
    const split = tf.reshape(dw, [outParts, end - begin, inParts, end]);
    return tf.pad(split, [none, none, none, [0, width - end]]);
  });
  return {
    dx: tf.reshape(dx, [rows, inParts * width]),
    dWeight: tf.reshape(tf.concat(dWeights, 1), [outParts * width, inParts * width]),
  };
}
