import { describe, expect, it } from 'vitest';
import { createRandom } from '@nestrec/random';
import { fitWhitening, foldProjector, whiten } from './whitening.js';

const WIDTH = 6;

/** Rows with a strong common direction, unequal scales, and one column that is always 0. */
function sampleRows(rows: number): Float32Array {
  const random = createRandom(3);
  const out = new Float32Array(rows * WIDTH);
  for (let r = 0; r < rows; r++) {
    const common = 2 + random.normal();
    for (let f = 0; f < WIDTH - 1; f++) out[r * WIDTH + f] = common + random.normal() / (f + 1);
  }
  return out;
}

describe('whitening', () => {
  it('gives a second moment close to isotropic, rows of norm near 1, and leaves zeros at zero', () => {
    const features = sampleRows(4_000);
    const white = whiten(features, fitWhitening(features, WIDTH));
    const moment = (i: number, j: number) => {
      let sum = 0;
      for (let r = 0; r < white.length; r += WIDTH) sum += white[r + i]! * white[r + j]!;
      return sum / (white.length / WIDTH);
    };
    const live = WIDTH - 1;
    for (let i = 0; i < live; i++) {
      // The ridge keeps weak directions below the full 1 / live.
      expect(moment(i, i)).toBeLessThanOrEqual(1 / live + 1e-3);
      expect(moment(i, i)).toBeGreaterThan(0.1 / live);
      for (let j = 0; j < i; j++) expect(Math.abs(moment(i, j))).toBeLessThan(0.3 / live);
    }
    expect(moment(live, live)).toBe(0);
    expect(whiten(new Float32Array(WIDTH), fitWhitening(features, WIDTH))).toEqual(
      new Float32Array(WIDTH),
    );
  });

  it('folds into the projector: P (W f) = (P W) f', () => {
    const features = sampleRows(200);
    const whitening = fitWhitening(features, WIDTH);
    const white = whiten(features, whitening);
    const random = createRandom(5);
    const projector = Float32Array.from({ length: 4 * WIDTH }, () => random.normal());
    const folded = foldProjector(projector, whitening);
    const product = (p: Float32Array, d: number, rows: Float32Array, r: number) => {
      let sum = 0;
      for (let f = 0; f < WIDTH; f++) sum += p[d * WIDTH + f]! * rows[r * WIDTH + f]!;
      return sum;
    };
    for (let r = 0; r < 200; r += 7) {
      for (let d = 0; d < 4; d++) {
        expect(product(folded, d, features, r)).toBeCloseTo(product(projector, d, white, r), 4);
      }
    }
  });

  it('gives a feature that no item has no weight, so that it cannot blow up a new item', () => {
    const whitening = fitWhitening(sampleRows(100), WIDTH);
    const folded = foldProjector(new Float32Array(WIDTH).fill(1), whitening);
    expect(folded[WIDTH - 1]).toBe(0);
  });

  it('survives features that are all zero', () => {
    const zeros = new Float32Array(5 * WIDTH);
    expect(whiten(zeros, fitWhitening(zeros, WIDTH))).toEqual(zeros);
  });
});
