/**
 * What the addon offers, operation by operation, over plain arrays. Matrices are row-major; `sizes` are the nested
 * sizes, ascending, the last is the width D. Results go into arrays that the caller hands in, of exactly the wanted
 * lengths; wrong lengths and indices throw a RangeError.
 */

/** Rows of a ragged batch, time-major (`PackedRows` of @nestrec/tensor), and which of them count as nothing. */
type Steps = readonly [active: Int32Array, start: Int32Array, silent: Uint8Array];

export interface NativeOperations {
  /** c [m, n] = a [m, k] b [k, n]; a transposed operand is stored as [k, m], [n, k]. */
  multiply(
    a: Float32Array,
    b: Float32Array,
    c: Float32Array,
    m: number,
    n: number,
    k: number,
    transposeA: 0 | 1,
    transposeB: 0 | 1,
  ): void;
  /** `inverse` is [rows, sizes]: 1 / deviation of each segment. */
  segmentNorm(
    sizes: Int32Array,
    x: Float32Array,
    gain: Float32Array,
    bias: Float32Array,
    out: Float32Array,
    normalised: Float32Array,
    inverse: Float32Array,
  ): void;
  segmentNormBackward(
    sizes: Int32Array,
    upstream: Float32Array,
    gain: Float32Array,
    normalised: Float32Array,
    inverse: Float32Array,
    dX: Float32Array,
    dGain: Float32Array,
    dBias: Float32Array,
  ): void;
  /** out = a + mask * b; `out` may be one of the others. */
  addMasked(a: Float32Array, b: Float32Array, mask: Float32Array | null, out: Float32Array): void;
  /** out = mask * a; `out` may be one of the others. */
  multiplyMask(a: Float32Array, mask: Float32Array, out: Float32Array): void;
  /** out = silu(gate) * value * mask. */
  gatedUnit(
    gate: Float32Array,
    value: Float32Array,
    mask: Float32Array | null,
    out: Float32Array,
  ): void;
  gatedUnitBackward(
    upstream: Float32Array,
    gate: Float32Array,
    value: Float32Array,
    mask: Float32Array | null,
    dGate: Float32Array,
    dValue: Float32Array,
  ): void;
  /** v rows [Re v | Im v], h rows [Re h | -Im h], [rows, 2 D]; lambda in two halves, [D]. */
  diagonalScan(
    ...args: [
      ...Steps,
      real: Float64Array,
      imaginary: Float64Array,
      v: Float32Array,
      h: Float32Array,
    ]
  ): void;
  /** `upstream` becomes the gradient by v. */
  diagonalScanBackward(
    ...args: [
      ...Steps,
      real: Float64Array,
      imaginary: Float64Array,
      h: Float32Array,
      upstream: Float32Array,
      dReal: Float64Array,
      dImaginary: Float64Array,
    ]
  ): void;
  /** weight [outParts D, inParts D] with its structural zeros. */
  nestedLinear(
    sizes: Int32Array,
    outParts: number,
    inParts: number,
    x: Float32Array,
    weight: Float32Array,
    bias: Float32Array | null,
    y: Float32Array,
  ): void;
  nestedLinearBackward(
    sizes: Int32Array,
    outParts: number,
    inParts: number,
    x: Float32Array,
    weight: Float32Array,
    upstream: Float32Array,
    dX: Float32Array,
    dWeight: Float32Array,
    dBias: Float32Array,
  ): void;
  gatherRows(table: Float32Array, width: number, indices: Int32Array, out: Float32Array): void;
  /** table[indices[i]] += rows[i], in the order of i. */
  addRows(table: Float32Array, width: number, indices: Int32Array, rows: Float32Array): void;
  /**
   * out [rows, D]: 0 where the hash of seed and position is below its segment's threshold (of 65,536), otherwise the
   * segment's `kept`. `picked`: the rows of the whole mask that are wanted; null = row i is row i.
   */
  dropoutMask(
    sizes: Int32Array,
    thresholds: Int32Array,
    kept: Float32Array,
    seed: number,
    picked: Int32Array | null,
    out: Float32Array,
  ): void;
  /** Row i of `out` = factors[i] times row i of `x`. */
  scaleRows(x: Float32Array, factors: Float32Array, out: Float32Array): void;
  /** out[i] = inner product of rows i of `x` and `y`. */
  rowDots(x: Float32Array, y: Float32Array, out: Float32Array): void;
  /**
   * Ranks by size and case, [sizes, cases]: the number of rows of `table` whose score is not below the target's; `masked`
   * without the rows in `seen`, which are distinct and without the target.
   */
  countRanks(
    sizes: Int32Array,
    queries: Float32Array,
    table: Float32Array,
    targets: Int32Array,
    seenOffsets: Int32Array,
    seen: Int32Array,
    all: Int32Array,
    masked: Int32Array,
  ): void;
  /** table [N + 1, D] = features [N + 1, F] projector^T + bias + mask * residual; mask [N, sizes] by item and segment. */
  itemTable(
    sizes: Int32Array,
    features: Float32Array | null,
    featureWidth: number,
    table: Float32Array,
    mask: Float32Array | null,
    projector: Float32Array | null,
    bias: Float32Array,
    residual: Float32Array | null,
  ): void;
  itemTableBackward(
    sizes: Int32Array,
    features: Float32Array | null,
    featureWidth: number,
    upstream: Float32Array,
    mask: Float32Array | null,
    dProjector: Float32Array | null,
    dBias: Float32Array,
    dResidual: Float32Array | null,
  ): void;
  /**
   * `loss[k]`: sum over labels at size k. Gradients are of the mean over labels, weighted by size; `dScales[k]` is by
   * the logarithm of scale k. `itemBias` [items] is added to every score of an item. `prefixShares` (0 to 1): how much
   * of the larger sizes' gradient reaches segment k.
   */
  crossEntropy(
    sizes: Int32Array,
    states: Float32Array,
    table: Float32Array,
    targets: Int32Array,
    weights: Float32Array,
    scales: Float32Array,
    itemBias: Float32Array | null,
    prefixShares: Float32Array,
    dStates: Float32Array,
    dTable: Float32Array,
    loss: Float64Array,
    dScales: Float64Array,
  ): void;
  /**
   * One AdamW step in place. `indices` (ascending): the rows that gradient rows belong to; null = all.
   *
   * @param options scale of the gradient, 1 - lr * decay, beta1, beta2, eps, lr / (1 - beta1^step),
   *   1 / sqrt(1 - beta2^step).
   * @param factors of the rate: one for each column, or each row of the parameter where `byRow` is 1; null = 1.
   */
  adamw(
    parameter: Float32Array,
    m: Float32Array,
    v: Float32Array,
    gradient: Float32Array,
    width: number,
    indices: Int32Array | null,
    options: Float32Array,
    factors: Float32Array | null,
    byRow: 0 | 1,
  ): void;
  sumSquares(x: Float32Array): number;
  /** 0 = as many as the machine has processors. Returns how many there are. */
  setThreads(count: number): number;
  /** Takes one instruction set, or the best there is. Returns its name: avx512, avx2, base. */
  setTarget(name: string | null): string;
}
