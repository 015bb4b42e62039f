/**
 * Measures one workload in a process of its own, so that its peak memory is its own: argument 1 is the workload, or the
 * name of a backend whose product is to be measured; prints one line of JSON.
 */
import * as tf from '@tensorflow/tfjs-core';
import { createModel } from '@nestrec/model';
import { initParameters } from '@nestrec/parameters';
import { createRandom, type Random } from '@nestrec/random';
import type { ModelConfig } from '@nestrec/contracts';
import {
  createAdamW,
  disposeTensors,
  hostNumbers,
  selectBackend,
  type BackendName,
} from '@nestrec/tensor';
import { naiveArithmetic } from '../../helpers/naive-arithmetic.js';
import { naiveLossAndGradients } from '../../helpers/naive-model.js';
import { packed, padded } from '../../helpers/small-model.js';
import {
  configOf,
  histories,
  usefulFlop,
  workloadSchema,
  type Measurement,
  type Workload,
} from './workload.js';

/** Steps that compile kernels and grow memory, and are not counted. */
const WARM_UP = 2;

type Step = (parameters: Map<string, tf.Variable>) => {
  loss: number;
  gradients: Map<string, tf.Tensor>;
};

/** Best rate of a product of 1,024^3 in float32, in GFLOP/s. */
async function peakGflops(backend: BackendName): Promise<number> {
  await selectBackend({ force: backend });
  const edge = backend === 'cpu' ? 256 : 1_024;
  const [a, b] = [tf.randomUniform([edge, edge]), tf.randomUniform([edge, edge])];
  let best = Infinity;
  for (let i = 0; i < 40; i++) {
    const startedMs = performance.now();
    hostNumbers(() => tf.matMul(a, b));
    best = Math.min(best, performance.now() - startedMs);
  }
  return (2 * edge ** 3) / best / 1e6;
}

function stepOf(workload: Workload, features: Float32Array): { step: Step; labels: number } {
  const config = configOf(workload);
  const sequences = histories(workload);
  const rows = packed(sequences);
  const labels = rows.rows;
  if (workload.computation === 'fused') {
    const model = createModel(config, features);
    return { labels, step: (parameters) => model.lossAndGradients(parameters, rows) };
  }
  const batch = padded(sequences, workload.length);
  const data = new Float32Array((config.numItems + 1) * config.featureWidth);
  data.set(features, config.featureWidth);
  const table = tf.tensor2d(data, [config.numItems + 1, config.featureWidth]);
  if (workload.computation === 'naive-arithmetic') {
    const naive = naiveArithmetic(config, table);
    return { labels, step: (parameters) => naive.step(parameters, batch) };
  }
  const weights = config.sizes.map(() => 1 / config.sizes.length);
  return {
    labels,
    step: (parameters) => naiveLossAndGradients(config, parameters, table, batch, weights),
  };
}

/** Parameters at their start, by a model without items' features: only names and shapes matter. */
function upload(config: ModelConfig, random: Random) {
  const model = createModel(config, new Float32Array(config.numItems * config.featureWidth));
  const parameters = model.createParameters(initParameters(config, random));
  model.dispose();
  return parameters;
}

async function measure(workload: Workload): Promise<Measurement> {
  await selectBackend({ force: workload.backend as BackendName });
  const config = configOf(workload);
  const random = createRandom(2);
  const features = Float32Array.from(
    { length: config.numItems * config.featureWidth },
    () => random.normal() / Math.sqrt(config.featureWidth),
  );
  const { step, labels } = stepOf(workload, features);
  const parameters = new Map(upload(config, random));
  const optimizer = createAdamW({
    ...{ lr: () => 1e-3, betas: [0.9, 0.999], eps: 1e-9, weightDecay: 0.01, clipNorm: 5 },
    decays: () => true,
  });
  const times: number[] = [];
  let firstLoss = 0;
  for (let i = 0; i < WARM_UP + workload.steps; i++) {
    const startedMs = performance.now();
    const { loss, gradients } = step(parameters);
    optimizer.step(parameters, gradients);
    if (i === 0) firstLoss = loss;
    if (i >= WARM_UP) times.push(performance.now() - startedMs);
  }
  optimizer.dispose();
  disposeTensors(parameters);
  const sorted = times.sort((a, b) => a - b);
  const [fastestMs, stepMs] = [sorted[0]!, sorted[Math.floor(sorted.length / 2)]!];
  return {
    workload,
    ...{ labels, stepMs, fastestMs, loss: firstLoss },
    usersPerSecond: (1_000 * workload.users) / fastestMs,
    usefulGflops: usefulFlop(workload, labels) / fastestMs / 1e6,
    peakMegabytes: process.resourceUsage().maxRSS / 1_000,
  };
}

const argument = process.argv[2]!;
const result = argument.startsWith('{')
  ? await measure(workloadSchema.parse(JSON.parse(argument)))
  : await peakGflops(argument as BackendName);
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
