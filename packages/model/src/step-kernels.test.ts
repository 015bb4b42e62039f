/** Where a training step runs on the native backend: every kernel of it, and that none of the slow ones does bulk work. */
import * as tf from '@tensorflow/tfjs-core';
import { modelConfigSchema } from '@nestrec/contracts';
import { initParameters } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { createAdamW, disposeTensors, selectBackend, traceOperations } from '@nestrec/tensor';
import { describe, expect, it } from 'vitest';
import { packed } from '../../../tests/helpers/small-model.js';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import { createModel } from './index.js';

const SIZES = [8, 16, 32];
const ITEMS = 400;
const config = modelConfigSchema.parse({
  ...{ sizes: SIZES, blocks: 2, featureWidth: 12, numItems: ITEMS },
});

/** What a step of this model is made of, in C. */
const FUSED = [
  ...['dropoutMask', 'itemTable', 'gatherRows', 'multiplyMask', 'segmentNorm', 'scaleRows'],
  ...['nestedLinear', 'diagonalScan', 'addMasked', 'gatedUnit', 'crossEntropy'],
  ...['nestedLinearBackward', 'gatedUnitBackward', 'segmentNormBackward', 'diagonalScanBackward'],
  ...['rowDots', 'addRows', 'itemTableBackward', 'sumSquares', 'adamw'],
];

describe.skipIf(!suiteBackends.includes('native'))('a training step on native', () => {
  it('does all work on rows, items and matrices in C; TensorFlow.js sees vectors of D alone', async () => {
    await selectBackend({ force: 'native' });
    const random = createRandom(3);
    const features = Float32Array.from({ length: ITEMS * 12 }, () => random.normal());
    const model = createModel(config, features);
    const parameters = new Map(model.createParameters(initParameters(config, random)));
    const optimizer = createAdamW({
      ...{ lr: () => 1e-3, betas: [0.9, 0.999], eps: 1e-9, weightDecay: 0.01, clipNorm: 5 },
      decays: () => true,
    });
    const histories = [9, 7, 7, 3].map((length) => {
      const targets = Array.from({ length }, () => 1 + random.int(ITEMS));
      return { inputs: [0, ...targets.slice(0, -1)], targets };
    });
    const step = () => {
      const { gradients } = model.lossAndGradients(parameters, packed(histories), {
        dropout: [0.1, 0.2, 0.3],
        residualDrop: [0.1, 0.1, 0.1],
        random: createRandom(5),
      });
      optimizer.step(parameters, gradients);
    };
    step();
    const natively = new Set(traceOperations(step).map(({ name }) => name));
    expect([...natively].sort()).toEqual([...FUSED].sort());
    const { kernels } = await tf.profile(step);
    expect(kernels.length).toBeGreaterThan(0);
    const numbersOf = (shapes: readonly (number[] | undefined)[]) =>
      Math.max(0, ...shapes.map((shape) => tf.util.sizeFromShape(shape ?? [0])));
    const bulk = kernels
      .map(({ name, outputShapes }) => ({ name, numbers: numbersOf(outputShapes) }))
      .filter(({ numbers }) => numbers > 3 * SIZES.at(-1)!);
    expect(bulk).toEqual([]);
    optimizer.dispose();
    disposeTensors(parameters);
    model.dispose();
  });
});
