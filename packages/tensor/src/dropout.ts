/**
 * Dropout masks with one rate per segment, inverted (kept values are divided by the share kept), from a seeded stream, so
 * that a resumed run draws what the killed one would have drawn.
 *
 * One integer of the stream seeds a mask; each of its numbers is then a hash of seed and position (16 bits of it: rates
 * are exact to 1/65,536), so that rows can be drawn in any order, by themselves, and on any backend alike.
 */
import * as tf from '@tensorflow/tfjs-core';
import { InvalidConfig } from '@nestrec/errors';
import type { Random } from '@nestrec/random';
import { segmentsOf } from '@nestrec/parameters';
import { activeNative } from './native/native-backend.js';
import { nativeDropout } from './native/native-operations.js';

const SEED_BOUND = 0x7fffffff;
const RESOLUTION = 65_536;

export function requireRates(name: string, rates: readonly number[], segments: number): void {
  if (rates.length !== segments || rates.some((rate) => !(rate >= 0 && rate < 1))) {
    throw new InvalidConfig({
      detail: `${name} is [${rates.slice(0, 8).join(', ')}]; wanted ${segments} rates, one per segment, from 0 to below 1.`,
    });
  }
}

/** Every bit of the result depends on every bit of x: lowbias32 of Wellons' hash-prospector (2018). */
function scrambled(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return x ^ (x >>> 16);
}

/** What one mask is drawn from. */
export interface MaskDraw {
  readonly seed: number;
  readonly sizes: readonly number[];
  /** By segment: a number is dropped where its 16 bits are below this. */
  readonly thresholds: Int32Array;
  /** By segment: 1 / (1 - rate). */
  readonly kept: Float32Array;
}

function maskOnHost(draw: MaskDraw, rows: number, picked: Int32Array | null): Float32Array {
  const width = draw.sizes.at(-1)!;
  const mask = new Float32Array(rows * width);
  const segments = segmentsOf(draw.sizes);
  for (let r = 0; r < rows; r++) {
    const first = (picked === null ? r : picked[r]!) * width;
    segments.forEach(({ begin, end }, i) => {
      const [threshold, kept] = [draw.thresholds[i]!, draw.kept[i]!];
      for (let d = begin; d < end; d++) {
        const bits = scrambled((Math.imul(first + d, 0x9e3779b1) + draw.seed) | 0) >>> 16;
        mask[r * width + d] = bits < threshold ? 0 : kept;
      }
    });
  }
  return mask;
}

/**
 * A mask [rows, D]; null where no segment drops anything. With sizes 1, 2, .. M it has one column per segment:
 * whole segments of a row drop together once it is spread over D.
 *
 * @param picked rows of it that are wanted, in order; default all. Parts of a batch together have the mask of the whole.
 */
export function dropoutMask(
  rows: number,
  sizes: readonly number[],
  rates: readonly number[],
  random: Random,
  picked: Int32Array | null = null,
): tf.Tensor2D | null {
  if (rates.every((rate) => rate === 0) || rows === 0) return null;
  const draw: MaskDraw = {
    seed: 1 + random.int(SEED_BOUND),
    sizes,
    thresholds: Int32Array.from(rates, (rate) => Math.round(rate * RESOLUTION)),
    kept: Float32Array.from(rates, (rate) => 1 / (1 - rate)),
  };
  const count = picked?.length ?? rows;
  const native = activeNative();
  if (native !== null) return nativeDropout(native, draw, count, picked);
  return tf.tensor2d(maskOnHost(draw, count, picked), [count, sizes.at(-1)!]);
}
