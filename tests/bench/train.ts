/**
 * Times one training step, fused and straightforward, on a synthetic set shaped like Amazon Beauty.
 *
 * Run: npm run bench:train -- [--sizes 16,32,64,128] [--items 3025] [--users 32] [--features 384] [--blocks 1]
 *                             [--length 50] [--labels 6.9] [--steps 5] [--backend wasm] [--fused-only] [--workers 2]
 *                             [--json]
 *
 * Useful work counts multiply-adds as 2 and leaves out padding, recomputation and repeated projections:
 * projector 4 (N + 1) F D, blocks 42 K n nz, logits 6 n N D (docs: model, section 5). The peak is the best of the
 * backend's own square products in the same run. Rates are by busy time, the smaller of wall and CPU time: on a
 * machine that others use too, wall time says little. The straightforward step holds all logits of all sizes at once:
 * at the full size of Beauty it does not fit wasm's memory, so the default is a quarter of its items.
 * Much of its time on wasm is the tape's: its gradients ask for transposed products, which wasm has no fast kernel
 * for; `--backend cpu --items 600 --users 8` compares without that.
 */
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { modelConfigSchema, type ModelConfig } from '@nestrec/contracts';
import { createModel } from '@nestrec/model';
import { initParameters } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import {
  createAdamW,
  disposeTensors,
  hostNumbers,
  selectBackend,
  type BackendName,
} from '@nestrec/tensor';
import { naiveLossAndGradients } from '../helpers/naive-model.js';
import { packed, padded, type Sequence } from '../helpers/small-model.js';
import { timeWorkers, workersLines } from './workers.js';

const { values: flags } = parseArgs({
  options: {
    sizes: { type: 'string', default: '16,32,64,128' },
    items: { type: 'string', default: '3025' },
    users: { type: 'string', default: '32' },
    features: { type: 'string', default: '384' },
    blocks: { type: 'string', default: '1' },
    length: { type: 'string', default: '50' },
    labels: { type: 'string', default: '6.9' },
    steps: { type: 'string', default: '5' },
    backend: { type: 'string' },
    workers: { type: 'string', default: '1' },
    'fused-only': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

interface Timing {
  /** Wall time. */
  readonly stepMs: number;
  /** The smaller of wall and CPU time; rates are by it. */
  readonly busyMs: number;
  readonly usersPerSecond: number;
  readonly usefulGflops: number;
  readonly loss: number;
}

/** Steps that compile kernels and grow memory, and are not counted. */
const WARM_UP = 2;

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Runs `work` and returns its wall time and its busy time, in milliseconds. */
function clocked(work: () => void): { wallMs: number; busyMs: number } {
  const startedMs = performance.now();
  const usage = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(usage);
  const wallMs = performance.now() - startedMs;
  return { wallMs, busyMs: Math.min(wallMs, (user + system) / 1_000) };
}

/** Best rate of square products, in GFLOP/s. */
function peakGflops(backend: string): number {
  const edges = backend === 'cpu' ? [128, 256] : [256, 512, 1024];
  let best = 0;
  for (const edge of edges) {
    const [a, b] = [tf.randomUniform([edge, edge]), tf.randomUniform([edge, edge])];
    for (let i = 0; i < 8; i++) {
      const { busyMs } = clocked(() => void hostNumbers(() => tf.matMul(a, b)));
      if (i > 0) best = Math.max(best, (2 * edge ** 3) / busyMs / 1e6);
    }
    tf.dispose([a, b]);
  }
  return best;
}

/** Useful operations of one step. */
function usefulFlop(config: ModelConfig, labels: number): number {
  const width = config.sizes.at(-1)!;
  const nonZero = config.sizes.reduce((sum, end, i) => {
    return sum + (end - (i === 0 ? 0 : config.sizes[i - 1]!)) * end;
  }, 0);
  const projector = 4 * (config.numItems + 1) * config.featureWidth * width;
  const blocks = 42 * config.blocks * labels * nonZero;
  return projector + blocks + 6 * labels * config.numItems * width;
}

/** Histories with geometric lengths, longest first, each beginning with the empty history. */
function sequences(users: number, items: number, meanLabels: number, longest: number): Sequence[] {
  const random = createRandom(1);
  const lengths = Array.from({ length: users }, () =>
    Math.min(longest, 1 + Math.floor(-Math.log(1 - random.uniform()) * (meanLabels - 0.5))),
  );
  return lengths
    .sort((a, b) => b - a)
    .map((length) => {
      const targets = Array.from({ length }, () => 1 + random.int(items));
      return { inputs: [0, ...targets.slice(0, -1)], targets };
    });
}

const report = await selectBackend(
  flags.backend === undefined ? {} : { force: flags.backend as BackendName },
);
const number = (
  name: 'items' | 'users' | 'features' | 'blocks' | 'length' | 'labels' | 'steps' | 'workers',
) => {
  const value = Number(flags[name]);
  if (!(value > 0)) throw new Error(`--${name} is ${flags[name]}; wanted a number above 0`);
  return value;
};
const config = modelConfigSchema.parse({
  sizes: flags.sizes.split(',').map(Number),
  blocks: number('blocks'),
  featureWidth: number('features'),
  numItems: number('items'),
});
const random = createRandom(2);
const features = Float32Array.from(
  { length: config.numItems * config.featureWidth },
  () => random.normal() / Math.sqrt(config.featureWidth),
);
const start = initParameters(config, random);
const histories = sequences(number('users'), config.numItems, number('labels'), number('length'));
const rows = packed(histories);
const labels = rows.rows;
const model = createModel(config, features);
const weights = config.sizes.map(() => 1 / config.sizes.length);

type Step = (parameters: Map<string, tf.Variable>) => {
  loss: number;
  gradients: Map<string, tf.Tensor>;
};

function time(step: Step): Timing {
  const parameters = new Map(model.createParameters(start));
  const optimizer = createAdamW({
    ...{ lr: () => 1e-3, betas: [0.9, 0.999], eps: 1e-9, weightDecay: 0.01, clipNorm: 5 },
    decays: () => true,
  });
  const [wall, busy]: [number[], number[]] = [[], []];
  let firstLoss = 0;
  for (let i = 0; i < WARM_UP + number('steps'); i++) {
    const { wallMs, busyMs } = clocked(() => {
      const { loss, gradients } = step(parameters);
      optimizer.step(parameters, gradients);
      if (i === 0) firstLoss = loss;
    });
    if (i < WARM_UP) continue;
    wall.push(wallMs);
    busy.push(busyMs);
  }
  optimizer.dispose();
  disposeTensors(parameters);
  const busyMs = median(busy);
  const usefulGflops = usefulFlop(config, labels) / busyMs / 1e6;
  return {
    stepMs: median(wall),
    busyMs,
    usersPerSecond: (1_000 * histories.length) / busyMs,
    usefulGflops,
    loss: firstLoss,
  };
}

const fused = time((parameters) => model.lossAndGradients(parameters, rows));
let naive: Timing | null = null;
if (!flags['fused-only']) {
  const paddedRows = padded(histories, number('length'));
  const none: [number, number] = [0, 0];
  const featureRows = tf.tidy(() =>
    tf.pad(tf.tensor2d(features, [config.numItems, config.featureWidth]), [[1, 0], none]),
  ) as tf.Tensor2D;
  naive = time((parameters) =>
    naiveLossAndGradients(config, parameters, featureRows, paddedRows, weights),
  );
  featureRows.dispose();
}
model.dispose();
// Last, when the engine has compiled the product's kernel for speed.
const peak = peakGflops(report.name);

const counts = number('workers') > 1 ? [1, number('workers')] : [];
const shared = await timeWorkers(
  ...([config, features, start, rows, histories.length, counts, number('steps')] as const),
);

const result = {
  backend: report.name,
  sizes: config.sizes,
  items: config.numItems,
  users: histories.length,
  labels,
  usefulGflop: usefulFlop(config, labels) / 1e9,
  peakGflops: peak,
  fused,
  naive,
  workers: shared,
  speedup: naive === null ? null : naive.busyMs / fused.busyMs,
};
if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
else printTable();

function printTable(): void {
  const line = (name: string, t: Timing) =>
    [
      name.padEnd(16),
      `${t.stepMs.toFixed(1)} ms`.padStart(12),
      `${t.busyMs.toFixed(1)} ms`.padStart(12),
      t.usersPerSecond.toFixed(0).padStart(10),
      t.usefulGflops.toFixed(2).padStart(16),
      `${((100 * t.usefulGflops) / peak).toFixed(1)} %`.padStart(14),
      t.loss.toFixed(5).padStart(10),
    ].join('');
  const lines = [
    report.line,
    `${config.numItems} items, sizes ${config.sizes.join(', ')}, ${histories.length} users, ${labels} labels a step; ` +
      `useful work ${result.usefulGflop.toFixed(2)} GFLOP a step; peak of the backend's product ${peak.toFixed(1)} GFLOP/s`,
    [
      'computation'.padEnd(16),
      'wall'.padStart(12),
      'busy'.padStart(12),
      'users/s'.padStart(10),
    ].join('') +
      ['useful GFLOP/s'.padStart(16), 'of the peak'.padStart(14), 'loss'.padStart(10)].join(''),
    line('fused', fused),
  ];
  if (naive !== null) {
    lines.push(
      line('straightforward', naive),
      `fused is ${result.speedup!.toFixed(1)} times as fast`,
    );
  }
  process.stdout.write(`${[...lines, ...workersLines(shared)].join('\n')}\n`);
}
