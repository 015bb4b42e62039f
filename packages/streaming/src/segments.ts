/**
 * Nested segments: where they lie, how a matrix over them is stored, how they are normalised.
 *
 * A nested linear is block lower-triangular: a row of segment i has m_i weights. Rows lie one behind
 * another with nothing stored for the zeros. Every function takes `upTo`, the number of leading
 * segments to work on, and touches nothing above them; sums run in the same order whatever `upTo` is,
 * so that a prefix of the result is the result of the prefix, bit for bit.
 */

/** eps of model.md's segment norm. */
const NORM_EPS = 1e-5;

/** End of each segment: the nested sizes m_1 < ... < m_M = D. */
export type Sizes = readonly number[];

/** Weights of a nested linear D -> D. */
export interface NestedMatrix {
  /** Row after row; a row of segment i has sizes[i] weights. Length nz. */
  readonly weights: Float32Array;
  /** Length D. */
  readonly bias: Float64Array;
}

/** nz: weights of a nested matrix that are stored, (sum over i of (m_i - m_(i-1)) m_i). */
export function nestedWeights(sizes: Sizes): number {
  return sizes.reduce((sum, size, i) => sum + (size - (sizes[i - 1] ?? 0)) * size, 0);
}

/** How many leading segments are needed to know the first `dim` coordinates. */
export function segmentsFor(sizes: Sizes, dim: number): number {
  return sizes.findIndex((size) => size >= dim) + 1;
}

/**
 * `out = W x + b` for each of `rows` vectors, on the first `upTo` segments; the vectors lie D apart, in
 * `x` and in `out`. Doubles all through; weights are float32. A row's result is the same bits whatever
 * rows are beside it.
 */
export function multiply(
  matrix: NestedMatrix,
  sizes: Sizes,
  upTo: number,
  x: Float64Array,
  out: Float64Array,
  rows = 1,
): void {
  const { weights, bias } = matrix;
  const dim = sizes[sizes.length - 1]!;
  let offset = 0;
  let column = 0;
  for (let i = 0; i < upTo; i++) {
    const width = sizes[i]!;
    for (; column < width; column++, offset += width) {
      const shift = bias[column]!;
      let from = 0;
      let row = 0;
      for (; row + 1 < rows; row += 2, from += 2 * dim) {
        dotPair(weights, offset, x, from, from + dim, width);
        out[from + column] = shift + pair[0]!;
        out[from + dim + column] = shift + pair[1]!;
      }
      if (row < rows) out[from + column] = shift + dot(weights, offset, x, from, width);
    }
  }
}

/** Four partial sums let the processor overlap the additions: 2.5 times one running sum. */
function dot(
  weights: Float32Array,
  offset: number,
  x: Float64Array,
  from: number,
  width: number,
): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < width; i += 4) {
    const w = offset + i;
    const v = from + i;
    a += weights[w]! * x[v]!;
    b += weights[w + 1]! * x[v + 1]!;
    c += weights[w + 2]! * x[v + 2]!;
    d += weights[w + 3]! * x[v + 3]!;
  }
  for (; i < width; i++) a += weights[offset + i]! * x[from + i]!;
  return a + b + (c + d);
}

/** What `dotPair` found. */
const pair = new Float64Array(2);

/** `dot` for two vectors at once, each summed in the order of `dot`: weights are read once for both. */
function dotPair(
  weights: Float32Array,
  offset: number,
  x: Float64Array,
  from: number,
  next: number,
  width: number,
): void {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let e = 0;
  let f = 0;
  let g = 0;
  let h = 0;
  let i = 0;
  for (; i + 3 < width; i += 4) {
    const w = offset + i;
    const v = from + i;
    const u = next + i;
    const w0 = weights[w]!;
    const w1 = weights[w + 1]!;
    const w2 = weights[w + 2]!;
    const w3 = weights[w + 3]!;
    a += w0 * x[v]!;
    b += w1 * x[v + 1]!;
    c += w2 * x[v + 2]!;
    d += w3 * x[v + 3]!;
    e += w0 * x[u]!;
    f += w1 * x[u + 1]!;
    g += w2 * x[u + 2]!;
    h += w3 * x[u + 3]!;
  }
  for (; i < width; i++) {
    const weight = weights[offset + i]!;
    a += weight * x[from + i]!;
    e += weight * x[next + i]!;
  }
  pair[0] = a + b + (c + d);
  pair[1] = e + f + (g + h);
}

/**
 * Segment norm without gain and bias, which `foldNorm` puts into the matrices that follow: on each
 * segment, (x - mean) / sqrt(variance + 1e-5). `rows` vectors, D apart.
 */
export function normalise(
  sizes: Sizes,
  upTo: number,
  x: Float64Array,
  out: Float64Array,
  rows = 1,
): void {
  const dim = sizes[sizes.length - 1]!;
  for (let row = 0; row < rows; row++) {
    let from = row * dim;
    for (let s = 0; s < upTo; s++) {
      const to = row * dim + sizes[s]!;
      let mean = 0;
      for (let i = from; i < to; i++) mean += x[i]!;
      mean /= to - from;
      let variance = 0;
      for (let i = from; i < to; i++) variance += (x[i]! - mean) ** 2;
      const scale = 1 / Math.sqrt(variance / (to - from) + NORM_EPS);
      for (let i = from; i < to; i++) out[i] = (x[i]! - mean) * scale;
      from = to;
    }
  }
}

/**
 * `rowScale (W (gain n + shift) + b)` as one matrix on n: weights rowScale W gain, bias
 * rowScale (W shift + b). Computed in doubles, rounded once.
 */
export function foldNorm(
  matrix: NestedMatrix,
  sizes: Sizes,
  gain: Float32Array,
  shift: Float32Array,
  rowScale?: Float64Array,
): NestedMatrix {
  const weights = new Float32Array(matrix.weights.length);
  const bias = new Float64Array(matrix.bias.length);
  let offset = 0;
  let row = 0;
  for (const width of sizes) {
    for (; row < width; row++, offset += width) {
      const scale = rowScale?.[row] ?? 1;
      let sum = matrix.bias[row]!;
      for (let i = 0; i < width; i++) {
        const weight = matrix.weights[offset + i]!;
        sum += weight * shift[i]!;
        weights[offset + i] = scale * weight * gain[i]!;
      }
      bias[row] = scale * sum;
    }
  }
  return { weights, bias };
}
