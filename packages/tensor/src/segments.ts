/**
 * The small constant matrices that turn per-segment work into products: averaging a row over each segment,
 * and spreading segment values over D.
 */
import { segmentsOf } from '@nestrec/parameters';
import * as tf from '@tensorflow/tfjs-core';

/** Index of the segment of each coordinate. */
export function segmentIndex(sizes: readonly number[]): Int32Array {
  const index = new Int32Array(sizes.at(-1)!);
  segmentsOf(sizes).forEach(({ begin, end }, i) => index.fill(i, begin, end));
  return index;
}

/** One value per segment, repeated over its coordinates. */
export function spreadValues(sizes: readonly number[], values: ArrayLike<number>): Float32Array {
  return Float32Array.from(segmentIndex(sizes), (segment) => values[segment]!);
}

export interface SegmentMatrices {
  /** The nested sizes. */
  readonly ends: Int32Array;
  /** [D, M]: x @ average = mean of each segment. */
  readonly average: tf.Tensor2D;
  /** [M, D]: s @ spread repeats a segment's value over its coordinates. */
  readonly spread: tf.Tensor2D;
  dispose(): void;
}

export function createSegmentMatrices(sizes: readonly number[]): SegmentMatrices {
  const width = sizes.at(-1)!;
  const count = sizes.length;
  const average = new Float32Array(width * count);
  const spread = new Float32Array(count * width);
  segmentsOf(sizes).forEach((segment, i) => {
    for (let d = segment.begin; d < segment.end; d++) {
      average[d * count + i] = 1 / segment.width;
      spread[i * width + d] = 1;
    }
  });
  const matrices = {
    average: tf.tensor2d(average, [width, count]),
    spread: tf.tensor2d(spread, [count, width]),
  };
  return {
    ...matrices,
    ends: Int32Array.from(sizes),
    dispose: () => tf.dispose(Object.values(matrices)),
  };
}
