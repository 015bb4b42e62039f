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

/** Gram matrix of the columns of W f over all rows: what a rotation of W leaves as it is, by pairs of rows. */
function innerProducts(white: Float32Array, width: number, count: number): number[] {
  const out: number[] = [];
  for (let a = 0; a < count; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += white[a * width + i]! * white[b * width + i]!;
      out.push(sum);
    }
  }
  return out;
}

describe('whitening', () => {
  it('gives a second moment close to isotropic, rows of norm near 1, and leaves zeros at zero', () => {
    const features = sampleRows(4_000);
    const white = whiten(features, fitWhitening(features, WIDTH, 0));
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
    expect(whiten(new Float32Array(WIDTH), fitWhitening(features, WIDTH, 0))).toEqual(
      new Float32Array(WIDTH),
    );
  });

  it('folds into the projector: P (W f) = (P W) f', () => {
    const features = sampleRows(200);
    const whitening = fitWhitening(features, WIDTH, 0);
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
    const whitening = fitWhitening(sampleRows(100), WIDTH, 0);
    const folded = foldProjector(new Float32Array(WIDTH).fill(1), whitening);
    expect(folded[WIDTH - 1]).toBe(0);
  });

  it('survives features that are all zero', () => {
    const zeros = new Float32Array(5 * WIDTH);
    expect(whiten(zeros, fitWhitening(zeros, WIDTH, 0))).toEqual(zeros);
  });
});

describe('whitening cut to components', () => {
  it('keeps all inner products of items when as many as the width are kept: only turned', () => {
    const features = sampleRows(300);
    const whole = whiten(features, fitWhitening(features, WIDTH, 0));
    const turned = fitWhitening(features, WIDTH, WIDTH);
    expect(turned.explained).toBeCloseTo(1, 12);
    const got = innerProducts(whiten(features, turned), WIDTH, 40);
    innerProducts(whole, WIDTH, 40).forEach((wanted, i) => expect(got[i]).toBeCloseTo(wanted, 5));
  });

  it('reaches the same item vectors as the whole whitening: P for raw features is a product of both', () => {
    const features = sampleRows(300);
    const whole = fitWhitening(features, WIDTH, 0);
    const turned = fitWhitening(features, WIDTH, WIDTH);
    const random = createRandom(5);
    const projector = Float32Array.from({ length: 2 * WIDTH }, () => random.normal());
    // W_whole = Q W_turned with Q orthonormal, so P' Q is the projector that must be learned instead.
    const live = WIDTH - 1;
    const rotated = new Float32Array(2 * WIDTH);
    for (let k = 0; k < live; k++) {
      let square = 0;
      for (let f = 0; f < WIDTH; f++) square += turned.matrix[k * WIDTH + f]! ** 2;
      for (let i = 0; i < live; i++) {
        // Rows of W_turned are orthogonal: Q[i, k] = <W_whole[i], W_turned[k]> / |W_turned[k]|^2.
        let q = 0;
        for (let f = 0; f < WIDTH; f++)
          q += (whole.matrix[i * WIDTH + f]! * turned.matrix[k * WIDTH + f]!) / square;
        for (let d = 0; d < 2; d++) rotated[d * WIDTH + k]! += projector[d * WIDTH + i]! * q;
      }
    }
    const got = foldProjector(rotated, turned);
    foldProjector(projector, whole).forEach((wanted, i) => expect(got[i]).toBeCloseTo(wanted, 4));
  });

  it('keeps the directions with the largest second moment and tells their share', () => {
    // Two orthogonal directions of squares 9 : 1 in the first two features; a third of 0.
    const s = Math.SQRT1_2;
    const features = Float32Array.of(3 * s, 3 * s, 0, -3 * s, -3 * s, 0, s, -s, 0, -s, s, 0);
    const cut = fitWhitening(features, 3, 1);
    expect(cut.explained).toBeCloseTo(0.9, 6);
    expect(cut.matrix).toHaveLength(3);
    const [x, y, zero] = cut.matrix;
    expect(y).toBeCloseTo(x!, 6);
    expect(zero).toBe(0);
    const white = whiten(features, cut);
    expect(Math.abs(white[0]!)).toBeGreaterThan(1);
    expect(white[1]).toBeCloseTo(-white[0]!, 6);
    expect(white[2]).toBeCloseTo(0, 6);
    expect(fitWhitening(features, 3, 2).explained).toBeCloseTo(1, 6);
  });

  it('gives rows of norm near 1 and an isotropic second moment, whatever is kept', () => {
    const features = Float32Array.from(sampleRows(4_000), (v, i) => (i % WIDTH === 0 ? 9 * v : v));
    const components = 2;
    const white = whiten(features, fitWhitening(features, WIDTH, components));
    const moments = [0, 0, 0];
    for (let r = 0; r < white.length; r += components) {
      moments[0]! += white[r]! ** 2 / 4_000;
      moments[1]! += white[r + 1]! ** 2 / 4_000;
      moments[2]! += (white[r]! * white[r + 1]!) / 4_000;
    }
    expect(moments[0]).toBeCloseTo(0.5, 1);
    expect(moments[1]).toBeGreaterThan(0.1);
    expect(moments[1]).toBeLessThan(0.5);
    expect(moments[2]).toBeCloseTo(0, 4);
  });

  it('folds a projector of few columns to the raw width, and 0 stays 0', () => {
    const features = sampleRows(200);
    const cut = fitWhitening(features, WIDTH, 3);
    const white = whiten(features, cut);
    const random = createRandom(6);
    const projector = Float32Array.from({ length: 4 * 3 }, () => random.normal());
    const folded = foldProjector(projector, cut);
    expect(folded).toHaveLength(4 * WIDTH);
    for (let r = 0; r < 200; r += 7) {
      for (let d = 0; d < 4; d++) {
        let raw = 0;
        for (let f = 0; f < WIDTH; f++) raw += folded[d * WIDTH + f]! * features[r * WIDTH + f]!;
        let learned = 0;
        for (let k = 0; k < 3; k++) learned += projector[d * 3 + k]! * white[r * 3 + k]!;
        expect(raw).toBeCloseTo(learned, 4);
      }
    }
    expect(folded[WIDTH - 1]).toBe(0);
    expect(whiten(new Float32Array(WIDTH), cut)).toEqual(new Float32Array(3));
  });

  it('survives features that are all zero, and more components than features that live', () => {
    const zeros = new Float32Array(5 * WIDTH);
    expect(whiten(zeros, fitWhitening(zeros, WIDTH, 2))).toEqual(new Float32Array(5 * 2));
    const features = sampleRows(50);
    const { matrix } = fitWhitening(features, WIDTH, WIDTH);
    expect(matrix.subarray(WIDTH * (WIDTH - 1))).toEqual(new Float32Array(WIDTH));
    expect(matrix.every(Number.isFinite)).toBe(true);
  });
});
