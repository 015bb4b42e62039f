/**
 * Which items of a model are most like one (`likeness.ts`).
 *
 * Rows that are alike lie in one cell. A search ranks the cells by their centroids and compares the rows of the first
 * ones (an inverted file: Jégou, Douze & Schmid, IEEE TPAMI 2011), so that of a large catalogue it looks at a small
 * part, and may miss one of the nearest.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FeatureSpec } from '@nestrec/contracts';
import { featureWidth } from './feature-spec.js';
import {
  featureBlocks,
  likenessQuery,
  modalitiesOf,
  type FeatureBlock,
  type Likeness,
} from './likeness.js';
import { insertLikest } from './insert-likest.js';
import { likenessOrder } from './likeness-order.js';

export interface LikeItems {
  /** Likest first; fewer than asked where there are not as many. */
  readonly rows: readonly number[];
  /** -1 to 1. */
  readonly likeness: readonly number[];
}

export interface LikeItemsIndex {
  /** @param feature F numbers, as a featurizer of the specification gives them */
  find(feature: Float32Array, count: number): LikeItems;
}

export interface LikeItemsInput {
  /** N x F, row-major; kept, not copied. */
  readonly features: Float32Array;
  readonly spec: FeatureSpec;
  readonly likeness: Likeness;
  /** Rows to choose among. */
  readonly rows: Iterable<number>;
}

/** Rows of a cell, at most. */
const CELL_ROWS = 64;
/** Rows that a search compares, at least: all where there are no more. */
const SEARCHED_ROWS = 1_024;
/** Rows looked at before others get their turn, some 5 ms. */
const TURN_ROWS = 8_192;

/** Places `from .. to - 1` of the order, rows with the same modalities. */
interface Cell {
  readonly from: number;
  readonly to: number;
  /** Bit m: its rows have modality m. */
  readonly has: number;
}

interface Index extends LikeItemsInput {
  readonly rowWidth: number;
  readonly blocks: readonly FeatureBlock[];
  /** The row at each place. */
  readonly order: Uint32Array;
  readonly cells: readonly Cell[];
  /** Means of the cells' rows with blocks of length 1, cells x F. */
  readonly centroids: Float32Array;
}

/** Others are answered meanwhile; how long it takes, `npm run bench:embed` says. */
export async function indexLikeItems(input: LikeItemsInput): Promise<LikeItemsIndex> {
  const { features, spec, likeness, rows } = input;
  const blocks = featureBlocks(spec);
  const rowWidth = featureWidth(spec);
  const groups = new Map<number, number[]>();
  for (const row of rows) {
    const has = modalitiesOf(likeness, blocks.length, row);
    const group = groups.get(has) ?? [];
    groups.set(has, group);
    group.push(row);
  }
  groups.delete(0);
  const places: number[] = [];
  const cells: Cell[] = [];
  for (const [has, group] of groups) {
    const first = places.length;
    const options = { rows: group, leafItems: CELL_ROWS };
    for (const row of await likenessOrder(features, rowWidth, options)) places.push(row);
    for (const [from, to] of halved(first, places.length)) cells.push({ from, to, has });
  }
  const index = {
    ...{ ...input, rowWidth, blocks, cells, order: Uint32Array.from(places) },
    centroids: new Float32Array(cells.length * rowWidth),
  };
  await findCentroids(index);
  return { find: (feature, wanted) => find(index, feature, wanted) };
}

/** The ranges that halving by the middle leaves, as the order was made. */
function* halved(from: number, to: number): Generator<readonly [number, number]> {
  if (to - from <= CELL_ROWS) return yield [from, to];
  const middle = from + ((to - from) >> 1);
  yield* halved(from, middle);
  yield* halved(middle, to);
}

async function findCentroids(index: Index): Promise<void> {
  const { features, likeness, rowWidth, blocks, order, cells, centroids } = index;
  let seen = 0;
  for (const [c, { from, to }] of cells.entries()) {
    for (let place = from; place < to; place++) {
      const row = order[place]!;
      blocks.forEach(({ from: first, width }, m) => {
        const share = likeness.scales[row * blocks.length + m]! / (to - from);
        for (let i = first; i < first + width; i++) {
          centroids[c * rowWidth + i]! += share * features[row * rowWidth + i]!;
        }
      });
    }
    seen += to - from;
    if (seen < TURN_ROWS) continue;
    seen = 0;
    await nextTurn();
  }
}

function find(index: Index, feature: Float32Array, wanted: number): LikeItems {
  const { features, likeness, rowWidth, blocks, order, cells, centroids } = index;
  const { direction, has } = likenessQuery(feature, index.spec, likeness);
  const near = cells
    .map((cell, c) => {
      const shared = blocks.flatMap((_, m) => ((cell.has & has & (1 << m)) === 0 ? [] : [m]));
      const sum = dot(direction, 0, centroids, c * rowWidth, rowWidth);
      return { cell, shared, closeness: sum / shared.length };
    })
    .filter(({ shared }) => shared.length > 0)
    .sort((a, b) => b.closeness - a.closeness);
  const rows: number[] = [];
  const found: number[] = [];
  let searched = 0;
  for (const { cell, shared } of near) {
    if (searched >= SEARCHED_ROWS && rows.length === wanted) break;
    searched += cell.to - cell.from;
    for (let place = cell.from; place < cell.to; place++) {
      const row = order[place]!;
      let sum = 0;
      for (const m of shared) {
        const { from, width } = blocks[m]!;
        const cosine = dot(direction, from, features, row * rowWidth + from, width);
        sum += cosine * likeness.scales[row * blocks.length + m]!;
      }
      insertLikest(rows, found, row, sum / shared.length, wanted);
    }
  }
  return { rows, likeness: found };
}

/** Four sums beside each other, none of which waits for the one before. */
function dot(
  a: Float32Array,
  aFrom: number,
  b: Float32Array,
  bFrom: number,
  width: number,
): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let x = aFrom;
  let y = bFrom;
  const end = aFrom + width;
  for (; x + 3 < end; x += 4, y += 4) {
    s0 += a[x]! * b[y]!;
    s1 += a[x + 1]! * b[y + 1]!;
    s2 += a[x + 2]! * b[y + 2]!;
    s3 += a[x + 3]! * b[y + 3]!;
  }
  for (; x < end; x++, y++) s0 += a[x]! * b[y]!;
  return s0 + s1 + s2 + s3;
}
