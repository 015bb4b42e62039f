import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { createRandom } from '@nestrec/random';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import {
  diagonalScan,
  diagonalScanBackward,
  lambdaOf,
  layOutRows,
  selectBackend,
} from './index.js';

interface Case {
  readonly lengths: readonly number[];
  readonly width: number;
  readonly seed: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  lengths: fc
    .array(fc.integer({ min: 1, max: 7 }), { maxLength: 5 })
    .map((lengths) => lengths.sort((a, b) => b - a)),
  width: fc.integer({ min: 1, max: 21 }),
  seed: fc.integer(),
});

function draw({ lengths, width, seed }: Case) {
  const random = createRandom(seed);
  const layout = layOutRows(lengths);
  const numbers = (count: number) => Float64Array.from({ length: count }, () => random.normal());
  return {
    layout,
    nuLog: numbers(width),
    thetaLog: numbers(width),
    v: numbers(layout.rows * 2 * width),
    upstream: numbers(layout.rows * 2 * width),
    // Only first rows of sequences may have no history; here any may, which is harder.
    silent: Uint8Array.from({ length: layout.rows }, () => (random.uniform() < 0.2 ? 1 : 0)),
  };
}

/** h by definition, sequence by sequence, [Re | -Im]. */
function reference(c: Case, d: ReturnType<typeof draw>): Float64Array {
  const { width } = c;
  const out = new Float64Array(d.v.length);
  c.lengths.forEach((length, s) => {
    for (let i = 0; i < width; i++) {
      let [re, im] = [0, 0];
      const modulus = Math.exp(-Math.exp(d.nuLog[i]!));
      const [lRe, lIm] = [
        modulus * Math.cos(Math.exp(d.thetaLog[i]!)),
        modulus * Math.sin(Math.exp(d.thetaLog[i]!)),
      ];
      for (let t = 0; t < length; t++) {
        const row = d.layout.start[t]! + s;
        const at = row * 2 * width + i;
        const heard = d.silent[row] === 0 ? 1 : 0;
        [re, im] = [
          lRe * re - lIm * im + heard * d.v[at]!,
          lRe * im + lIm * re + heard * d.v[at + width]!,
        ];
        out[at] = re;
        out[at + width] = -im;
      }
    }
  });
  return out;
}

const objective = (c: Case, d: ReturnType<typeof draw>) =>
  reference(c, d).reduce((sum, value, i) => sum + value * d.upstream[i]!, 0);

/** Central differences of the objective by every number of `values`. */
function differences(values: Float64Array, f: () => number): Float64Array {
  return values.map((value, i) => {
    values[i] = value + 1e-5;
    const above = f();
    values[i] = value - 1e-5;
    const below = f();
    values[i] = value;
    return (above - below) / 2e-5;
  });
}

function close(got: ArrayLike<number>, want: ArrayLike<number>): void {
  expect(got.length).toBe(want.length);
  const largest = Array.from(want).reduce((a, b) => Math.max(a, Math.abs(b)), 0.1);
  Array.from(want).forEach((value, i) => {
    expect(Math.abs(got[i]! - value) / largest).toBeLessThan(1e-5);
  });
}

/** rows x 2D numbers as a tensor. */
const rowsOf = (c: Case, d: ReturnType<typeof draw>, values: Float64Array) =>
  tf.tensor2d(Float32Array.from(values), [d.layout.rows, 2 * c.width]);

describe.each(suiteBackends)('diagonal scan on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it('equals the recurrence by definition on ragged sequences, none included', () => {
    fc.assert(
      fc.property(cases, (c) => {
        const d = draw(c);
        const lambda = lambdaOf(d.nuLog, d.thetaLog);
        tf.tidy(() => {
          const h = diagonalScan(rowsOf(c, d, d.v), lambda, d.layout, d.silent);
          close(h.dataSync(), reference(c, d));
        });
      }),
      { numRuns: 50 },
    );
  });

  it('has the gradients that central differences give', () => {
    fc.assert(
      fc.property(cases, (c) => {
        const d = draw(c);
        const lambda = lambdaOf(d.nuLog, d.thetaLog);
        const f = () => objective(c, d);
        tf.tidy(() => {
          const h = diagonalScan(rowsOf(c, d, d.v), lambda, d.layout, d.silent);
          const upstream = rowsOf(c, d, d.upstream);
          const got = diagonalScanBackward(upstream, h, lambda, d.layout, d.silent);
          close(got.v.dataSync(), differences(d.v, f));
          close(got.nuLog, differences(d.nuLog, f));
          close(got.thetaLog, differences(d.thetaLog, f));
          expect([...upstream.dataSync()]).toEqual([...Float32Array.from(d.upstream)]);
        });
      }),
      { numRuns: 30 },
    );
  });
});

describe('packed rows', () => {
  it('put the sequences that still run first, in time-major order', () => {
    expect(layOutRows([3, 1, 1])).toEqual({
      active: Int32Array.of(3, 1, 1),
      start: Int32Array.of(0, 3, 4),
      rows: 5,
    });
    expect(layOutRows([]).rows).toBe(0);
  });
});
