/**
 * Dropout masks with one rate per segment, inverted (kept values are divided by the share kept), drawn on
 * the host from a seeded stream, so that a resumed run draws what the killed one would have drawn.
 *
 * One integer of the stream seeds a fast generator (xorshift, 16 bits a draw: rates are exact to 1/65,536).
 */
import * as tf from '@tensorflow/tfjs-core';
import { InvalidConfig } from '@nestrec/errors';
import type { Random } from '@nestrec/random';
import { segmentsOf } from '@nestrec/parameters';

const SEED_BOUND = 0x7fffffff;
const RESOLUTION = 65_536;

export function requireRates(name: string, rates: readonly number[], segments: number): void {
  if (rates.length !== segments || rates.some((rate) => !(rate >= 0 && rate < 1))) {
    throw new InvalidConfig({
      detail: `${name} is [${rates.slice(0, 8).join(', ')}]; wanted ${segments} rates, one per segment, from 0 to below 1.`,
    });
  }
}

/** Fills `count` values of `row`-strided columns begin .. end with 0 or 1 / (1 - rate). */
function fillColumns(
  mask: Float32Array,
  stride: number,
  { begin, end }: { begin: number; end: number },
  rate: number,
  seed: number,
): number {
  const kept = 1 / (1 - rate);
  const threshold = Math.round(rate * RESOLUTION);
  let state = seed;
  for (let row = 0; row < mask.length; row += stride) {
    for (let column = row + begin; column < row + end; column++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      mask[column] = state >>> 16 < threshold ? 0 : kept;
    }
  }
  return state;
}

/**
 * A mask [rows, D]; null where no segment drops anything. With sizes 1, 2, .. M it has one column per segment:
 * whole segments of a row drop together once it is spread over D.
 *
 * @param kept rows of it that are wanted, in order; default all. Drawn are always all of them, so that parts of a
 *   batch together have the masks of the whole.
 */
export function dropoutMask(
  rows: number,
  sizes: readonly number[],
  rates: readonly number[],
  random: Random,
  kept?: Int32Array,
): tf.Tensor2D | null {
  if (rates.every((rate) => rate === 0) || rows === 0) return null;
  const width = sizes.at(-1)!;
  const mask = new Float32Array(rows * width);
  let state = 1 + random.int(SEED_BOUND);
  segmentsOf(sizes).forEach((segment, i) => {
    if (rates[i] !== 0) state = fillColumns(mask, width, segment, rates[i]!, state);
    else
      for (let r = 0; r < mask.length; r += width) mask.fill(1, r + segment.begin, r + segment.end);
  });
  if (kept === undefined) return tf.tensor2d(mask, [rows, width]);
  const part = new Float32Array(kept.length * width);
  kept.forEach((row, i) => part.set(mask.subarray(row * width, (row + 1) * width), i * width));
  return tf.tensor2d(part, [kept.length, width]);
}
