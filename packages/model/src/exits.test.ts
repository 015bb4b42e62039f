/** Early exits in training: their loss and gradients beside the full depth's, on every backend. */
import * as tf from '@tensorflow/tfjs-core';
import { disposeTensors, selectBackend } from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import {
  referenceGradients,
  referenceLoss,
  toNumbers,
} from '../../../tests/helpers/float64-model.js';
import { packed, smallModel, type SmallModel } from '../../../tests/helpers/small-model.js';
import { createModel } from './index.js';

const TOLERANCE = 1e-4;
const LENGTHS = [4, 2, 1];
const EXIT_WEIGHT = 0.4;

const CASES: Record<string, SmallModel> = {
  'at every size': smallModel(
    { sizes: [3, 7], blocks: 2, exits: [{ blocks: 1, dim: 7 }] },
    LENGTHS,
    2,
  ),
  'at the smaller sizes': smallModel(
    { sizes: [3, 5, 7], blocks: 2, exits: [{ blocks: 1, dim: 5 }] },
    LENGTHS,
    3,
  ),
  'two of them, without score scales': smallModel(
    {
      ...{ sizes: [3, 6], blocks: 3, scoreScale: false },
      exits: [
        { blocks: 1, dim: 3 },
        { blocks: 2, dim: 6 },
      ],
    },
    LENGTHS,
    4,
  ),
};

/** The double-precision results of a case, computed once for all backends. */
const references = new Map<string, { loss: number; gradients: Map<string, Float64Array> }>();
function referenceOf(name: string, weights: readonly number[]) {
  let found = references.get(name);
  if (found === undefined) {
    const { config, features, sequences, parameters } = CASES[name]!;
    const reference = { config, features, sequences, weights, exitWeight: EXIT_WEIGHT };
    const numbers = toNumbers(parameters);
    found = {
      loss: referenceLoss(reference, numbers),
      gradients: referenceGradients(reference, numbers),
    };
    references.set(name, found);
  }
  return found;
}

function prepare({ config, features, parameters: stored }: SmallModel) {
  const model = createModel(config, features);
  const parameters = model.createParameters(stored);
  const dispose = () => {
    disposeTensors(parameters);
    model.dispose();
  };
  return { model, parameters, dispose };
}

const numbers = (tensors: ReadonlyMap<string, tf.Tensor>) =>
  new Map([...tensors].map(([name, tensor]) => [name, Array.from(tensor.dataSync())]));

describe.each(suiteBackends)('early exits on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it.each(Object.keys(CASES))('have the loss and gradients of double precision: %s', (name) => {
    const small = CASES[name]!;
    const { config, sequences } = small;
    const raw = config.sizes.map((_, k) => 1 / (k + 1));
    const weights = raw.map((w) => w / raw.reduce((a, b) => a + b));
    const want = referenceOf(name, weights);
    const before = tf.memory().numTensors;
    const { model, parameters, dispose } = prepare(small);
    const settings = { lossWeights: raw, exitWeight: EXIT_WEIGHT };
    const { loss, gradients } = model.lossAndGradients(parameters, packed(sequences), settings);
    expect(Math.abs(loss - want.loss)).toBeLessThan(TOLERANCE * want.loss);
    const got = model.exportParameters(gradients);
    for (const [key, values] of want.gradients) {
      const largest = values.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-6);
      values.forEach((value, i) => {
        expect(Math.abs(got.get(key)!.data[i]! - value) / largest, key).toBeLessThan(TOLERANCE);
      });
    }
    disposeTensors(gradients);
    dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('change no bit of a model that has none, whatever their weight', () => {
    const small = smallModel({ sizes: [3, 7], blocks: 2 }, LENGTHS, 2);
    const { model, parameters, dispose } = prepare(small);
    const step = (exitWeight?: number) => {
      const settings = exitWeight === undefined ? {} : { exitWeight };
      const { loss, gradients } = model.lossAndGradients(
        parameters,
        packed(small.sequences),
        settings,
      );
      const plain = numbers(gradients);
      disposeTensors(gradients);
      return { loss, plain };
    };
    expect(step(7)).toEqual(step());
    dispose();
  });

  it('have a gradient that is 0 in the later blocks, and in sizes above theirs', () => {
    const small = CASES['at the smaller sizes']!;
    const { model, parameters, dispose } = prepare(small);
    // So heavy that the full depth's part is nothing beside it.
    const settings = { exitWeight: 100, lossWeights: [0, 1, 0] };
    const { gradients } = model.lossAndGradients(parameters, packed(small.sequences), settings);
    const plain = numbers(gradients);
    const size = (name: string) => Math.max(...plain.get(name)!.map(Math.abs));
    const weight = 'lru_layer.out_proj.weight';
    expect(size(`model.lru_blocks.1.${weight}`)).toBeLessThan(
      0.05 * size(`model.lru_blocks.0.${weight}`),
    );
    const perItem = plain.get('embedding.item_residual')!;
    perItem.forEach((value, i) => {
      if (i % 7 >= 5) expect(value).toBe(0);
    });
    expect(perItem.some((value) => value !== 0)).toBe(true);
    disposeTensors(gradients);
    dispose();
  });

  it('refuse weights that leave an output without any', () => {
    const small = CASES['at the smaller sizes']!;
    const { model, parameters, dispose } = prepare(small);
    const step = () =>
      model.lossAndGradients(parameters, packed(small.sequences), { lossWeights: [0, 0, 1] });
    expect(step).toThrow(/loss weights of the sizes 3, 5 are all 0/);
    dispose();
  });
});
