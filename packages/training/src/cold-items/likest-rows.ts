/**
 * The rows most like each of many rows, found by products of whole matrices: exact, and for many questions at once far
 * faster than a search of one after another (`indexLikeItems` of @nestrec/features).
 */
import type { FeatureSpec } from '@nestrec/contracts';
import {
  featureBlocks,
  insertLikest,
  modalitiesOf,
  type Likeness,
  type LikeItems,
} from '@nestrec/features';
import { multiply } from '@nestrec/tensor';

export interface LikestRowsInput {
  /** N x F, row-major. */
  readonly features: Float32Array;
  /** F */
  readonly rowWidth: number;
  readonly spec: FeatureSpec;
  readonly likeness: Likeness;
}

/** Rows that are compared at once, of those asked for and of those to choose among. */
const ASKED_AT_ONCE = 1_024;
const AMONG_AT_ONCE = 8_192;

/** For each row of `asked` the likest `count` of `among`; fewer where fewer share a modality with it. */
export function likestRows(
  input: LikestRowsInput,
  asked: readonly number[],
  among: readonly number[],
  count: number,
): LikeItems[] {
  const { rowWidth, likeness, spec } = input;
  const modalities = spec.modalities.length;
  const found = asked.map(() => ({ rows: [] as number[], likeness: [] as number[] }));
  for (const others of panels(among, AMONG_AT_ONCE)) {
    const columns = transposed(scaledRows(input, others), others.length, rowWidth);
    const otherModalities = others.map((row) => modalitiesOf(likeness, modalities, row));
    let first = 0;
    for (const rows of panels(asked, ASKED_AT_ONCE)) {
      const scaled = scaledRows(input, rows);
      const directions = multiply(scaled, likeness.metric, [rows.length, rowWidth, rowWidth]);
      const cosines = multiply(directions, columns, [rows.length, rowWidth, others.length]);
      rows.forEach((row, r) => {
        const best = found[first + r]!;
        const own = modalitiesOf(likeness, modalities, row);
        others.forEach((other, o) => {
          const shared = bitsOf(own & otherModalities[o]!);
          if (shared === 0) return;
          const value = cosines[r * others.length + o]! / shared;
          // Most are not among the likest: they are turned away before a call.
          if (best.rows.length < count || value > best.likeness[count - 1]!)
            insertLikest(best.rows, best.likeness, other, value, count);
        });
      });
      first += rows.length;
    }
  }
  return found;
}

function* panels(rows: readonly number[], height: number): Generator<readonly number[]> {
  for (let from = 0; from < rows.length; from += height) yield rows.slice(from, from + height);
}

/** f of these rows with every modality of length 1 under its metric, rows x F; nothing else. */
function scaledRows(
  { features, rowWidth, spec, likeness }: LikestRowsInput,
  rows: readonly number[],
): Float32Array {
  const blocks = featureBlocks(spec);
  const out = new Float32Array(rows.length * rowWidth);
  rows.forEach((row, at) => {
    blocks.forEach(({ from, width }, m) => {
      const scale = likeness.scales[row * blocks.length + m]!;
      for (let i = from; i < from + width; i++)
        out[at * rowWidth + i] = scale * features[row * rowWidth + i]!;
    });
  });
  return out;
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c]!;
  return out;
}

function bitsOf(mask: number): number {
  let bits = 0;
  for (let left = mask; left !== 0; left &= left - 1) bits++;
  return bits;
}
