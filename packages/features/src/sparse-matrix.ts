/** Sparse rows (CSR) and the two products that the truncated SVD needs. Dense matrices are row-major. */
export interface SparseMatrix {
  readonly rows: number;
  readonly columns: number;
  /** Row r holds entries `offsets[r]` to `offsets[r + 1]`. */
  readonly offsets: Int32Array;
  readonly indices: Int32Array;
  readonly values: Float32Array;
}

/** A X: [rows, width] from X [columns, width]. */
export function multiply(a: SparseMatrix, x: Float32Array, width: number): Float32Array {
  const { rows, offsets, indices, values } = a;
  const result = new Float32Array(rows * width);
  for (let r = 0; r < rows; r++) {
    const out = r * width;
    for (let e = offsets[r]!; e < offsets[r + 1]!; e++) {
      addScaled(result, out, x, indices[e]! * width, values[e]!, width);
    }
  }
  return result;
}

/** A^T Y: [columns, width] from Y [rows, width]. */
export function multiplyTransposed(a: SparseMatrix, y: Float32Array, width: number): Float32Array {
  const { rows, columns, offsets, indices, values } = a;
  const result = new Float32Array(columns * width);
  for (let r = 0; r < rows; r++) {
    for (let e = offsets[r]!; e < offsets[r + 1]!; e++) {
      addScaled(result, indices[e]! * width, y, r * width, values[e]!, width);
    }
  }
  return result;
}

/** out[outAt + c] += scale * x[xAt + c] for c < width. */
function addScaled(
  out: Float32Array,
  outAt: number,
  x: Float32Array,
  xAt: number,
  scale: number,
  width: number,
): void {
  for (let c = 0; c < width; c++) out[outAt + c]! += scale * x[xAt + c]!;
}
