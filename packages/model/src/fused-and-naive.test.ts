/**
 * Three computations of one loss and its gradients: the fused one, the straightforward one in tensor operations
 * with a tape, and double-precision numbers with central differences.
 */
import * as tf from '@tensorflow/tfjs-core';
import { createRandom } from '@nestrec/random';
import { disposeTensors, selectBackend } from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { naiveArithmetic } from '../../../tests/helpers/naive-arithmetic.js';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import {
  referenceGradients,
  referenceLoss,
  toNumbers,
} from '../../../tests/helpers/float64-model.js';
import { naiveLossAndGradients } from '../../../tests/helpers/naive-model.js';
import { packed, padded, smallModel, type SmallModel } from '../../../tests/helpers/small-model.js';
import { createModel } from './index.js';

const TOLERANCE = 1e-4;

const CASES: Record<string, SmallModel> = {
  'one block': smallModel({ sizes: [4, 8, 12] }, [5, 4, 2, 1], 1),
  'two blocks': smallModel({ sizes: [3, 7], blocks: 2 }, [4, 3], 2),
  'no residual, no scales': smallModel(
    { sizes: [4, 6], itemResidual: false, scoreScale: false },
    [3, 3, 1],
    3,
  ),
  'one size': smallModel({ sizes: [5] }, [6], 4),
};

/** The double-precision results of a case, computed once for all backends. */
const references = new Map<string, { loss: number; gradients: Map<string, Float64Array> }>();
function referenceOf(name: string, weights: readonly number[]) {
  let found = references.get(name);
  if (found === undefined) {
    const { config, features, sequences, parameters } = CASES[name]!;
    const reference = { config, features, sequences, weights };
    const numbers = toNumbers(parameters);
    found = {
      loss: referenceLoss(reference, numbers),
      gradients: referenceGradients(reference, numbers),
    };
    references.set(name, found);
  }
  return found;
}

/** Greatest max|a - b| / max|b| over all tensors. */
function worst(
  got: ReadonlyMap<string, ArrayLike<number>>,
  want: ReadonlyMap<string, ArrayLike<number>>,
) {
  let greatest = 0;
  expect([...got.keys()].sort()).toEqual([...want.keys()].sort());
  for (const [name, numbers] of want) {
    const largest = Array.from(numbers).reduce((a, b) => Math.max(a, Math.abs(b)), 1e-6);
    const values = got.get(name)!;
    expect(values.length).toBe(numbers.length);
    Array.from(numbers).forEach((value, i) => {
      greatest = Math.max(greatest, Math.abs(values[i]! - value) / largest);
    });
  }
  return greatest;
}

function withPadding({ config, features }: SmallModel): tf.Tensor2D {
  const rows = new Float32Array((config.numItems + 1) * config.featureWidth);
  rows.set(features, config.featureWidth);
  return tf.tensor2d(rows, [config.numItems + 1, config.featureWidth]);
}

describe.each(suiteBackends)('loss and gradients on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it.each(Object.keys(CASES))('fused = naive = double precision: %s', (name) => {
    const small = CASES[name]!;
    const { config, parameters: stored, sequences } = small;
    const raw = config.sizes.map((_, k) => 1 / (k + 1));
    const weights = raw.map((w) => w / raw.reduce((a, b) => a + b));
    const before = tf.memory().numTensors;
    const model = createModel(config, small.features);
    const parameters = model.createParameters(stored);

    const fused = model.lossAndGradients(parameters, packed(sequences), { lossWeights: raw });
    const features = withPadding(small);
    const naive = naiveLossAndGradients(
      config,
      parameters,
      features,
      padded(sequences, 7),
      weights,
    );
    const plain = (gradients: Map<string, tf.Tensor>) =>
      new Map([...model.exportParameters(gradients)].map(([key, { data }]) => [key, data]));

    const { loss, gradients: wanted } = referenceOf(name, weights);
    expect(Math.abs(fused.loss - loss)).toBeLessThan(TOLERANCE * loss);
    expect(Math.abs(naive.loss - loss)).toBeLessThan(TOLERANCE * loss);
    expect(worst(plain(fused.gradients), wanted)).toBeLessThan(TOLERANCE);
    expect(worst(plain(naive.gradients), wanted)).toBeLessThan(TOLERANCE);

    for (const tensors of [fused.gradients, naive.gradients, parameters]) disposeTensors(tensors);
    features.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('the naive arithmetic with our kernels gives the same where nothing is padded', () => {
    const lengths = [4, 4, 4];
    const small = smallModel({ sizes: [2, 5, 9], numItems: 23, blocks: 2 }, lengths, 8);
    const model = createModel(small.config, small.features);
    const parameters = model.createParameters(small.parameters);
    const features = withPadding(small);
    const naive = naiveArithmetic(small.config, features);
    const before = tf.memory().numTensors;
    const fused = model.lossAndGradients(parameters, packed(small.sequences));
    const other = naive.step(parameters, padded(small.sequences, 4));
    expect(Math.abs(fused.loss - other.loss)).toBeLessThan(1e-5);
    const numbers = (tensors: Map<string, tf.Tensor>) =>
      new Map([...tensors].map(([name, tensor]) => [name, tensor.dataSync()]));
    expect(worst(numbers(other.gradients), numbers(fused.gradients))).toBeLessThan(1e-4);
    for (const tensors of [fused.gradients, other.gradients]) disposeTensors(tensors);
    expect(tf.memory().numTensors).toBe(before);
    naive.dispose();
    features.dispose();
    disposeTensors(parameters);
    model.dispose();
  });

  it('chunks of items change nothing', () => {
    const { config, parameters: stored, features, sequences } = CASES['one block']!;
    const model = createModel(config, features);
    const parameters = model.createParameters(stored);
    const whole = model.lossAndGradients(parameters, packed(sequences));
    const cut = model.lossAndGradients(parameters, packed(sequences), { itemChunk: 5 });
    expect(Math.abs(whole.loss - cut.loss)).toBeLessThan(1e-5);
    const numbers = (tensors: Map<string, tf.Tensor>) =>
      new Map([...tensors].map(([name, tensor]) => [name, tensor.dataSync()]));
    expect(worst(numbers(cut.gradients), numbers(whole.gradients))).toBeLessThan(1e-5);
    for (const tensors of [whole.gradients, cut.gradients, parameters]) disposeTensors(tensors);
    model.dispose();
  });

  it('rows without a label change neither loss nor gradients of the labelled rows', () => {
    const { config, parameters: stored, features, sequences } = CASES['one block']!;
    const model = createModel(config, features);
    const parameters = model.createParameters(stored);
    // The last step of a sequence influences no other row: without its label it might as well not be there.
    const unlabelled = sequences.map(({ inputs, targets }, s) =>
      s === 0 ? { inputs, targets: [...targets.slice(0, -1), 0] } : { inputs, targets },
    );
    const shorter = sequences.map(({ inputs, targets }, s) =>
      s === 0
        ? { inputs: inputs.slice(0, -1), targets: targets.slice(0, -1) }
        : { inputs, targets },
    );
    const a = model.lossAndGradients(parameters, packed(unlabelled));
    const b = model.lossAndGradients(parameters, packed(shorter));
    expect(Math.abs(a.loss - b.loss)).toBeLessThan(1e-5);
    const numbers = (tensors: Map<string, tf.Tensor>) =>
      new Map([...tensors].map(([name, tensor]) => [name, tensor.dataSync()]));
    expect(worst(numbers(a.gradients), numbers(b.gradients))).toBeLessThan(1e-5);
    for (const tensors of [a.gradients, b.gradients, parameters]) disposeTensors(tensors);
    model.dispose();
  });

  it('with dropout, gradients are those of the loss under the same masks', () => {
    const { config, parameters: stored, features, sequences } = CASES['one block']!;
    const model = createModel(config, features);
    const parameters = model.createParameters(stored);
    const settings = () => ({
      dropout: [0, 0.3, 0.6],
      blockDropout: [0.2, 0.1, 0.4],
      residualDrop: [0.1, 0.2, 0.5],
      random: createRandom(11),
    });
    const rows = packed(sequences);
    const { gradients, loss } = model.lossAndGradients(parameters, rows, settings());
    const plain = model.lossAndGradients(parameters, rows);
    expect(Math.abs(loss - plain.loss)).toBeGreaterThan(1e-3);
    // Central differences along the gradient itself, in the same masks.
    const lossAt = (step: number): number => {
      const moved = new Map(
        [...parameters].map(([name, value]) => {
          return [name, tf.variable(tf.add(value, tf.mul(gradients.get(name)!, step)))] as const;
        }),
      );
      const result = model.lossAndGradients(moved, rows, settings());
      disposeTensors(result.gradients);
      disposeTensors(moved);
      return result.loss;
    };
    const squared = [...gradients.values()].reduce(
      (sum, g) =>
        sum + (g.dataSync() as Float32Array).reduce((s: number, v: number) => s + v * v, 0),
      0,
    );
    const slope = (lossAt(0.01) - lossAt(-0.01)) / 0.02;
    expect(Math.abs(slope - squared) / squared).toBeLessThan(0.01);
    for (const tensors of [gradients, plain.gradients, parameters]) disposeTensors(tensors);
    model.dispose();
  });
});
