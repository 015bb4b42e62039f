import * as tf from '@tensorflow/tfjs-core';
import { createRandom } from '@nestrec/random';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import {
  adamWUpdate,
  createAdamW,
  gatherTableRows,
  selectBackend,
  stepTableRows,
  type AdamWOptions,
  type RowTable,
} from './index.js';

const OPTIONS: AdamWOptions = {
  lr: (step) => 0.1 / step,
  ...{ betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0.1, clipNorm: 1 },
  decays: () => true,
};
const [ROWS, WIDTH] = [7, 19];
const AT = { name: 'x', shape: [ROWS, WIDTH] };

function table(seed: number): RowTable {
  const random = createRandom(seed);
  const zeros = () => new Float32Array(ROWS * WIDTH);
  return { width: WIDTH, values: zeros().map(() => random.normal()), m: zeros(), v: zeros() };
}

const row = (numbers: Float32Array, r: number) => [...numbers.subarray(r * WIDTH, (r + 1) * WIDTH)];

describe.each(suiteBackends)('table of rows on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it.each([
    ['one rate', undefined],
    ['rates by column', 'columns'],
    ['rates by row', 'rows'],
  ] as const)('moves rows as AdamW moves a parameter, with %s', (_, along) => {
    const count = along === 'rows' ? ROWS : WIDTH;
    const values = Float32Array.from({ length: count }, (_each, i) => 0.5 + i / count);
    const options = {
      ...OPTIONS,
      factors: along === undefined ? undefined : () => ({ along, values }),
    };
    const rows = Int32Array.from({ length: ROWS }, (_, r) => r);
    const own = table(1);
    const parameter = tf.variable(tf.tensor2d(own.values.slice(), [ROWS, WIDTH]));
    const optimizer = createAdamW(options);
    const random = createRandom(2);
    for (let step = 1; step <= 3; step++) {
      const numbers = Float32Array.from({ length: ROWS * WIDTH }, () => random.normal());
      const gradient = tf.tensor2d(numbers, [ROWS, WIDTH]);
      stepTableRows(own, rows, gradient, adamWUpdate(options, AT, step, 20));
      optimizer.step(new Map([['x', parameter]]), new Map([['x', gradient]]), 20);
    }
    const wanted = parameter.dataSync();
    own.values.forEach((value, i) => expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-5));
    optimizer.dispose();
    parameter.dispose();
  });

  it('leaves rows and moments that a step does not name as they are, to the last bit', () => {
    const own = table(3);
    const gradient = tf.ones([2, WIDTH]) as tf.Tensor2D;
    stepTableRows(own, Int32Array.of(0, 2), gradient, adamWUpdate(OPTIONS, AT, 1, 5));
    const before = { v: own.v.slice(), m: own.m.slice(), values: own.values.slice() };
    stepTableRows(own, Int32Array.of(2, 5), gradient, adamWUpdate(OPTIONS, AT, 2, 5));
    gradient.dispose();
    for (const name of ['values', 'm', 'v'] as const) {
      for (const r of [0, 1, 3, 4, 6]) expect(row(own[name], r)).toEqual(row(before[name], r));
      for (const r of [2, 5]) expect(row(own[name], r)).not.toEqual(row(before[name], r));
    }
  });

  it('gathers rows behind rows of zeros, and refuses rows that are not there', () => {
    const { values } = table(4);
    const gathered = gatherTableRows(values, WIDTH, Int32Array.of(6, 0, 6), 1);
    const numbers = gathered.dataSync() as Float32Array;
    gathered.dispose();
    expect(row(numbers, 0)).toEqual(new Array(WIDTH).fill(0));
    expect([1, 2, 3].map((r) => row(numbers, r))).toEqual([6, 0, 6].map((r) => row(values, r)));
    for (const wrong of [ROWS, -1]) {
      expect(() => gatherTableRows(values, WIDTH, Int32Array.of(wrong))).toThrow();
      const gradient = tf.ones([1, WIDTH]) as tf.Tensor2D;
      const update = adamWUpdate(OPTIONS, AT, 1, 1);
      expect(() => stepTableRows(table(4), Int32Array.of(wrong), gradient, update)).toThrow();
      gradient.dispose();
    }
  });
});
