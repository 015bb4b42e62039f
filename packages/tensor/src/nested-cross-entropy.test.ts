import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { createRandom } from '@nestrec/random';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import { selectBackend } from './backend.js';
import { mergeLogSumExp } from './log-sum-exp.js';
import { nestedCrossEntropy } from './nested-cross-entropy.js';

interface Case {
  readonly sizes: readonly number[];
  readonly items: number;
  readonly labels: number;
  readonly weights: readonly number[];
  readonly logScales: readonly number[] | null;
  readonly biased: boolean;
  /** By segment; absent: 1. */
  readonly prefixShares?: readonly number[];
  readonly magnitude: number;
  readonly seed: number;
}

const cases: fc.Arbitrary<Case> = fc
  .record({
    sizes: fc
      .uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 })
      .map((sizes) => sizes.sort((a, b) => a - b)),
    items: fc.integer({ min: 1, max: 40 }),
    labels: fc.integer({ min: 0, max: 150 }),
    seed: fc.integer(),
    scaled: fc.boolean(),
    biased: fc.boolean(),
    shared: fc.constantFrom(0, 0.3, 1, null),
    magnitude: fc.constantFrom(0.1, 1),
  })
  .map(({ sizes, scaled, shared, seed, ...rest }) => {
    const random = createRandom(seed);
    // Weights may be 0 and scales differ, so that every branch of the suffix sum is met.
    const weights = sizes.map(() => (random.uniform() < 0.25 ? 0 : random.uniform()));
    const logScales = scaled ? sizes.map(() => 0.5 * random.normal()) : null;
    const prefixShares = sizes.map(() => shared ?? random.uniform());
    return { sizes, seed, weights, logScales, prefixShares, ...rest };
  });

function draw(c: Case) {
  const random = createRandom(c.seed + 1);
  const width = c.sizes.at(-1)!;
  const numbers = (count: number) =>
    Float32Array.from({ length: count }, () => c.magnitude * random.normal());
  return {
    width,
    states: numbers(c.labels * width),
    items: numbers(c.items * width),
    bias: c.biased ? Float32Array.from({ length: c.items }, () => 2 * random.normal()) : null,
    targets: Int32Array.from({ length: c.labels }, () => random.int(c.items)),
  };
}

/** Loss and gradients in double precision, one score at a time. */
function reference(c: Case, { width, states, items, bias, targets }: ReturnType<typeof draw>) {
  const dStates = new Float64Array(states.length);
  const dItems = new Float64Array(items.length);
  const dScales = new Float64Array(c.sizes.length);
  const lossBySize = new Float64Array(c.sizes.length);
  for (let row = 0; row < c.labels; row++) {
    c.sizes.forEach((m, k) => {
      const scale = c.logScales === null ? 1 : Math.exp(c.logScales[k]!);
      const products = Array.from({ length: c.items }, (_, i) => {
        let sum = 0;
        for (let d = 0; d < m; d++) sum += states[row * width + d]! * items[i * width + d]!;
        return scale * sum;
      });
      const scores = products.map((product, i) => product + (bias?.[i] ?? 0));
      const largest = Math.max(...scores);
      const total = scores.reduce((sum, score) => sum + Math.exp(score - largest), 0);
      const target = targets[row]!;
      lossBySize[k]! += (largest + Math.log(total) - scores[target]!) / c.labels;
      scores.forEach((score, i) => {
        const p = Math.exp(score - largest) / total - (i === target ? 1 : 0);
        const g = (c.weights[k]! * p) / c.labels;
        dScales[k]! += g * products[i]!;
        for (let d = 0; d < m; d++) {
          const segment = c.sizes.findIndex((size) => d < size);
          const share = segment < k ? (c.prefixShares?.[segment] ?? 1) : 1;
          dStates[row * width + d]! += share * g * scale * items[i * width + d]!;
          dItems[i * width + d]! += share * g * scale * states[row * width + d]!;
        }
      });
    });
  }
  const loss = lossBySize.reduce((sum, value, k) => sum + c.weights[k]! * value, 0);
  return { loss, lossBySize, dStates, dItems, dScales };
}

/** The floor keeps terms that cancel (probability 1 minus 1) from counting as relative errors. */
function close(got: ArrayLike<number>, want: ArrayLike<number>, tolerance = 1e-5): void {
  const largest = Array.from(want).reduce((a, b) => Math.max(a, Math.abs(b)), 0.05);
  const difference = Array.from(want).reduce((a, b, i) => Math.max(a, Math.abs(b - got[i]!)), 0);
  expect(got.length).toBe(want.length);
  expect(difference / largest).toBeLessThan(tolerance);
}

function run(c: Case, itemChunk: number) {
  const data = draw(c);
  const items = tf.tensor2d(data.items, [c.items, data.width]);
  const input = {
    states: tf.tensor2d(data.states, [c.labels, data.width]),
    items,
    targets: data.targets,
    sizes: c.sizes,
    weights: c.weights,
    logScales: c.logScales,
    itemBias: data.bias,
    ...(c.prefixShares === undefined ? {} : { prefixShares: c.prefixShares }),
    itemChunk,
  };
  const before = tf.memory().numTensors;
  const result = nestedCrossEntropy(input);
  expect(tf.memory().numTensors).toBe(before + 2);
  const got = {
    ...result,
    states: result.gradients.states.dataSync(),
    items: result.gradients.items.dataSync(),
    logScales: result.gradients.logScales,
  };
  tf.dispose([input.states, input.items]);
  tf.dispose([result.gradients.states, result.gradients.items]);
  return { got, want: reference(c, data) };
}

function check(c: Case, itemChunk: number): void {
  const { got, want } = run(c, itemChunk);
  close([got.loss], [want.loss]);
  close(got.lossBySize, want.lossBySize);
  close(got.states, want.dStates);
  close(got.items, want.dItems);
  if (c.logScales === null) expect(got.logScales).toBeNull();
  else close(got.logScales!, want.dScales, 1e-4);
}

describe.each(suiteBackends)('nested cross-entropy on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it('equals double precision when all items fit one chunk', () => {
    fc.assert(
      fc.property(cases, (c) => check(c, 0)),
      { numRuns: 25 },
    );
  });

  it('equals double precision over chunks of any length', () => {
    fc.assert(fc.property(cases, fc.integer({ min: 1, max: 45 }), check), { numRuns: 25 });
  });

  it('stays finite and right where a target has practically no probability', () => {
    const c: Case = {
      sizes: [2, 5],
      items: 9,
      labels: 70,
      weights: [0.5, 0.5],
      logScales: null,
      biased: false,
      magnitude: 12,
      seed: 3,
    };
    expect(reference(c, draw(c)).loss).toBeGreaterThan(100);
    check(c, 0);
    check(c, 4);
  });

  it('equals double precision with segments wide enough to be treated apart', () => {
    const c: Case = {
      ...{ sizes: [8, 270, 530], items: 150, labels: 130, weights: [0.5, 0, 0.3] },
      ...{ logScales: [0.1, 0, -0.2], biased: true, magnitude: 0.2, seed: 5 },
    };
    check(c, 0);
    check({ ...c, weights: [0, 0.7, 0] }, 0);
    check({ ...c, prefixShares: [0.25, 0.25, 1] }, 0);
    check({ ...c, prefixShares: [0, 0.75, 0] }, 0);
  });

  it('gives loss 0 and zero gradients without labels', () => {
    const c: Case = {
      ...{ sizes: [2, 3], items: 4, labels: 0, weights: [1, 1], magnitude: 1, seed: 1 },
      logScales: [0, 0],
      biased: false,
    };
    const { got } = run(c, 0);
    expect(got.loss).toBe(0);
    expect([...got.items, ...got.logScales!].every((value) => value === 0)).toBe(true);
  });
});

describe('merging log-sum-exps', () => {
  it('keeps digits when one chunk holds nearly everything, and passes on what is not finite', () => {
    const merged = mergeLogSumExp([Float32Array.of(500, 0, NaN), Float32Array.of(-500, 0, 1)]);
    expect(merged[0]).toBe(500);
    expect(merged[1]).toBeCloseTo(Math.log(2), 12);
    expect(merged[2]).toBeNaN();
  });
});
