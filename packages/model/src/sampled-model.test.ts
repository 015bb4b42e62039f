import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { disposeTensors, selectBackend } from '@nestrec/tensor';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import { packed, smallModel } from '../../../tests/helpers/small-model.js';
import { createModel, createSampledModel, type LossSettings } from './index.js';

const CASES = {
  'features and residual': smallModel({ sizes: [4, 8, 16], scoreScale: true }, [6, 5, 2, 1], 1),
  'features alone': smallModel({ sizes: [4, 8], itemResidual: false }, [4, 3], 2),
  'a residual alone, with an early exit': smallModel(
    { sizes: [4, 8], featureWidth: 0, blocks: 2, exits: [{ blocks: 1, dim: 4 }] },
    [4, 3],
    3,
  ),
};

/** Raw features are wider than what the projector sees. */
const WIDER = 3;

/** W f of every item, items x width; raw features are `raw` wide. */
function mapped(
  features: Float32Array,
  map: Float32Array,
  width: number,
  raw: number,
): Float32Array {
  const out = new Float32Array((features.length / raw) * width);
  return out.map((_, at) => {
    const [row, i] = [Math.floor(at / width), at % width];
    let sum = 0;
    for (let j = 0; j < raw; j++) sum += map[i * raw + j]! * features[row * raw + j]!;
    return sum;
  });
}

/** Largest difference over all numbers of both, relative to the largest number of the wanted. */
function worst(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(got).toHaveLength(wanted.length);
  const largest = Math.max(...Array.from(wanted, Math.abs));
  return Math.max(...Array.from(wanted, (w, i) => Math.abs(got[i]! - w))) / largest;
}

describe.each(suiteBackends)('sampled model on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it.each(Object.keys(CASES) as (keyof typeof CASES)[])(
    'is the full softmax, loss and every gradient, where all items are certain candidates: %s',
    (name) => {
      const { config, parameters: stored, sequences } = CASES[name];
      const { numItems, featureWidth, sizes } = config;
      const random = createRandom(4);
      const numbers = (length: number) => Float32Array.from({ length }, () => random.normal());
      const raw = featureWidth === 0 ? 0 : featureWidth + WIDER;
      const [features, map] = [numbers(numItems * raw), numbers(featureWidth * raw)];
      const settings = (): LossSettings => ({
        lossWeights: sizes.map((_, k) => 1 / (k + 1)),
        dropout: sizes.map((_, k) => 0.2 * k),
        residualDrop: sizes.map(() => 0.3),
        random: createRandom(9),
      });
      const before = tf.memory().numTensors;

      const full = createModel(config, mapped(features, map, featureWidth, Math.max(1, raw)));
      const fullParameters = full.createParameters(stored);
      const wanted = full.lossAndGradients(fullParameters, packed(sequences), settings());

      const residual = config.itemResidual ? stored.get(ITEM_RESIDUAL)!.data : null;
      const sampled = createSampledModel(config, { features, featureMap: map, residual });
      const parameters = sampled.createParameters(stored);
      const everything = Int32Array.from({ length: numItems }, (_, i) => i + 1);
      const sample = { items: everything, bias: new Float32Array(numItems) };
      const got = sampled.lossAndGradients(parameters, packed(sequences), sample, settings());

      expect(Math.abs(got.loss - wanted.loss)).toBeLessThan(1e-5 * wanted.loss);
      const gradients = new Map(got.gradients);
      if (got.residual !== null) gradients.set(ITEM_RESIDUAL, got.residual);
      expect([...gradients.keys()].sort()).toEqual([...wanted.gradients.keys()].sort());
      for (const [key, tensor] of wanted.gradients) {
        expect(worst(gradients.get(key)!.dataSync(), tensor.dataSync())).toBeLessThan(2e-4);
      }
      const table = full.itemTable(fullParameters);
      const vectors = sampled.itemVectors(parameters, Int32Array.of(3, 1));
      const rows = table.rows.dataSync();
      const width = sizes.at(-1)!;
      const own = [...rows.slice(3 * width, 4 * width), ...rows.slice(width, 2 * width)];
      expect(worst(vectors, own)).toBeLessThan(1e-4);

      table.dispose();
      for (const tensors of [gradients, wanted.gradients, fullParameters, parameters]) {
        disposeTensors(tensors);
      }
      full.dispose();
      sampled.dispose();
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  it('counts a candidate of probability 1/2 twice, which is what two of them would be', () => {
    const { config, parameters: stored, features } = CASES['features alone'];
    const batch = packed([{ inputs: [0, 2], targets: [2, 5] }]);
    const loss = (numbers: Float32Array, items: number[], bias: number[]) => {
      const store = { features: numbers, featureMap: null, residual: null };
      const model = createSampledModel({ ...config, numItems: numbers.length / 5 }, store);
      const parameters = model.createParameters(stored);
      const sample = { items: Int32Array.from(items), bias: Float32Array.from(bias) };
      const result = model.lossAndGradients(parameters, batch, sample);
      disposeTensors(result.gradients);
      disposeTensors(parameters);
      model.dispose();
      return result.loss;
    };
    const [two, five, seven, eight] = [2, 5, 7, 8];
    // Item 8 becomes a twin of item 7.
    const twins = features.slice();
    twins.copyWithin(5 * (eight - 1), 5 * (seven - 1), 5 * seven);
    const once = loss(twins, [two, five, seven], [0, 0, Math.log(2)]);
    expect(once).toBeCloseTo(loss(twins, [two, five, seven, eight], [0, 0, 0, 0]), 5);
    expect(Math.abs(once - loss(twins, [two, five, seven], [0, 0, 0]))).toBeGreaterThan(1e-3);
  });

  it('names an item of the batch that is not among the candidates', () => {
    const { config, parameters: stored, features } = CASES['features alone'];
    const model = createSampledModel(config, { features, featureMap: null, residual: null });
    const parameters = model.createParameters(stored);
    const sample = { items: Int32Array.of(2, 4), bias: new Float32Array(2) };
    const batch = packed([{ inputs: [0, 2], targets: [2, 5] }]);
    expect(() => model.lossAndGradients(parameters, batch, sample)).toThrow(/item 5/);
    disposeTensors(parameters);
    model.dispose();
  });
});
