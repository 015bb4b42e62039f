/**
 * Takes training steps of a model on wasm in a process of its own, and prints the size that the heap has grown to:
 * `{ "bytes": ..., "labels": ... }`. Parameters are of no interest, so all features are equal.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '@nestrec/contracts';
import { createModel } from '@nestrec/model';
import { initParameters } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { createAdamW, selectBackend } from '@nestrec/tensor';
import { packed } from './small-model.js';

const { config, users } = JSON.parse(process.argv[2]!) as { config: ModelConfig; users: number };
const STEPS = 2;
const LENGTH = 8;

await selectBackend({ force: 'wasm' });
const random = createRandom(1);
const features = new Float32Array(config.numItems * config.featureWidth).fill(0.05);
const model = createModel(config, features);
const parameters = model.createParameters(initParameters(config, random));
const optimizer = createAdamW({
  ...{ lr: () => 1e-3, betas: [0.9, 0.999], eps: 1e-9, weightDecay: 0.01, clipNorm: 5 },
  decays: () => true,
});
const batch = packed(
  Array.from({ length: users }, () => {
    const targets = Array.from({ length: LENGTH }, () => 1 + random.int(config.numItems));
    return { inputs: [0, ...targets.slice(0, -1)], targets };
  }),
);
const rates = config.sizes.map(() => 0.2);
for (let step = 0; step < STEPS; step++) {
  const settings = { dropout: rates, residualDrop: rates, random };
  const { gradients } = model.lossAndGradients(parameters, batch, settings);
  optimizer.step(parameters, gradients);
}
const { HEAPU8 } = (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm;
process.stdout.write(JSON.stringify({ bytes: HEAPU8.length, labels: batch.rows }));
