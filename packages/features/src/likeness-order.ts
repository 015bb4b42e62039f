/**
 * An order in which like vectors stand together: each half of the items is one side of the median along the
 * direction in which they differ most, and so on within the halves (a principal axis tree: McNames, IEEE TPAMI
 * 2001). Rows and index entries written in it share their pages with those that a search meets next, so that a
 * search touches fewer of them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

const LEAF_ITEMS = 16;
/** Items by which a direction is found. */
const SAMPLE_ITEMS = 128;
/** Of the power method; a direction that is merely good splits as well. */
const ITERATIONS = 4;
/** Numbers read before others get their turn, some 5 ms. */
const TURN_NUMBERS = 2_000_000;

export interface LikenessOrderOptions {
  /** The rows to order. Default: all N. */
  readonly rows?: ArrayLike<number>;
  /** Items that stay in the order in which they came. Default: about as many as fit into a page of an index. */
  readonly leafItems?: number;
}

/**
 * @param vectors N x dim, row after row
 * @returns the rows, each once; cut in halves (the first the smaller), and these again, while a part has more than
 * `leafItems`, a part's rows are alike
 */
export async function likenessOrder(
  vectors: Float32Array,
  dim: number,
  { rows: chosen, leafItems = LEAF_ITEMS }: LikenessOrderOptions = {},
): Promise<Uint32Array> {
  const order =
    chosen === undefined
      ? Uint32Array.from({ length: vectors.length / dim }, (_, row) => row)
      : Uint32Array.from(chosen);
  // By row, as `moveSmallest` looks it up.
  const along = new Float32Array(vectors.length / dim);
  const ranges: [number, number][] = [[0, order.length]];
  let read = 0;
  for (let range = ranges.pop(); range !== undefined; range = ranges.pop()) {
    const [from, to] = range;
    if (to - from <= leafItems) continue;
    const rows = order.subarray(from, to);
    project(vectors, rows, mainDirection(vectors, dim, rows), along);
    const middle = rows.length >> 1;
    moveSmallest(rows, along, middle);
    ranges.push([from + middle, to], [from, from + middle]);
    read += dim * (rows.length + 2 * ITERATIONS * Math.min(SAMPLE_ITEMS, rows.length));
    if (read < TURN_NUMBERS) continue;
    read = 0;
    await nextTurn();
  }
  return order;
}

/** The direction in which the rows differ most, nearly; of any length. */
function mainDirection(vectors: Float32Array, dim: number, rows: Uint32Array): Float64Array {
  const step = Math.max(1, Math.floor(rows.length / SAMPLE_ITEMS));
  const sample = Array.from({ length: Math.min(SAMPLE_ITEMS, rows.length) }, (_, nth) =>
    Float64Array.from(vectors.subarray(rows[nth * step]! * dim, (rows[nth * step]! + 1) * dim)),
  );
  const mean = new Float64Array(dim);
  for (const vector of sample) vector.forEach((value, d) => (mean[d]! += value / sample.length));
  for (const vector of sample) mean.forEach((value, d) => (vector[d]! -= value));
  let direction = sample.reduce((a, b) => (dot(b, b) > dot(a, a) ? b : a)).slice();
  for (let n = 0; n < ITERATIONS; n++) {
    const next = new Float64Array(dim);
    for (const vector of sample) {
      const share = dot(vector, direction);
      for (let d = 0; d < dim; d++) next[d]! += share * vector[d]!;
    }
    const length = Math.sqrt(dot(next, next));
    // All are one: any direction divides them as badly.
    if (!(length > 0)) break;
    direction = next.map((value) => value / length);
  }
  return direction;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d]! * b[d]!;
  return sum;
}

/** Writes where each row lies along the direction. */
function project(
  vectors: Float32Array,
  rows: Uint32Array,
  direction: Float64Array,
  along: Float32Array,
): void {
  const dim = direction.length;
  for (const row of rows) {
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += vectors[row * dim + d]! * direction[d]!;
    along[row] = sum;
  }
}

/** Moves the `count` rows that lie lowest to the front (Hoare's selection). */
function moveSmallest(rows: Uint32Array, along: Float32Array, count: number): void {
  let [low, high] = [0, rows.length - 1];
  while (low < high) {
    const pivot = along[rows[(low + high) >> 1]!]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (along[rows[i]!]! < pivot) i++;
      while (along[rows[j]!]! > pivot) j--;
      if (i > j) break;
      [rows[i], rows[j]] = [rows[j]!, rows[i]!];
      i++;
      j--;
    }
    if (count <= j) high = j;
    else if (count >= i) low = i;
    else return;
  }
}
