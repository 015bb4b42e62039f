/** Rows of numbers: their products, and rows of length 1. */

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

/** A copy whose rows have length 1; rows of zeros stay. @throws RangeError where rows are not whole */
export function normaliseRows(features: Float32Array, width: number): Float32Array {
  if (width < 1 || features.length % width !== 0)
    throw new RangeError(`features have ${features.length} numbers, not a multiple of ${width}`);
  const out = Float32Array.from(features);
  for (let at = 0; at < out.length; at += width) {
    let square = 0;
    for (let f = 0; f < width; f++) square += out[at + f]! ** 2;
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let f = 0; f < width; f++) out[at + f]! *= scale;
  }
  return out;
}
