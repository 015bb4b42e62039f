/** Baseline without training: cosine between item features and the newest items of the history. */
import type { Scorer } from './types.js';

export interface TextCosineOptions {
  /** Newest items of the history that are compared with. Default 1. */
  readonly lastItems?: number;
  /** Weight of the item t steps before the newest is decay^t. */
  readonly decay?: number;
}

/**
 * @param features row-major N x width; row r is item r + 1. Rows are normalised here; a zero row scores 0.
 */
export function createTextCosine(
  features: Float32Array,
  width: number,
  options: TextCosineOptions = {},
): Scorer {
  if (width < 1 || features.length % width !== 0)
    throw new RangeError(`features have ${features.length} numbers, not a multiple of ${width}`);
  const { lastItems = 1, decay = 0.7 } = options;
  const rows = features.length / width;
  const normalised = normaliseRows(features, width);
  const query = new Float32Array(width);
  return {
    name: 'text-cosine',
    readsNewest: lastItems,
    score(history, out) {
      query.fill(0);
      let factor = 1;
      for (let h = history.length - 1; h >= Math.max(0, history.length - lastItems); h--) {
        const row = (history[h]! - 1) * width;
        for (let f = 0; f < width; f++) query[f]! += factor * normalised[row + f]!;
        factor *= decay;
      }
      out[0] = -Infinity;
      for (let r = 0; r < rows; r++) out[r + 1] = dot(normalised, r * width, query);
    },
  };
}

/** Four sums at once: one running sum would wait for itself at every addition. */
export function dot(matrix: Float32Array, at: number, query: Float32Array): number {
  const whole = query.length & ~3;
  let [a, b, c, d] = [0, 0, 0, 0];
  let f = 0;
  for (; f < whole; f += 4) {
    a += matrix[at + f]! * query[f]!;
    b += matrix[at + f + 1]! * query[f + 1]!;
    c += matrix[at + f + 2]! * query[f + 2]!;
    d += matrix[at + f + 3]! * query[f + 3]!;
  }
  for (; f < query.length; f++) a += matrix[at + f]! * query[f]!;
  return a + b + c + d;
}

/** A copy whose rows have length 1; rows of zeros stay. */
export function normaliseRows(features: Float32Array, width: number): Float32Array {
  const out = Float32Array.from(features);
  for (let at = 0; at < out.length; at += width) {
    let square = 0;
    for (let f = 0; f < width; f++) square += out[at + f]! ** 2;
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let f = 0; f < width; f++) out[at + f]! *= scale;
  }
  return out;
}
