/**
 * Trains on a synthetic catalogue that is too large for a full softmax, by `trainModel` as it is: sampled steps, one
 * evaluation, one checkpoint; prints step time, users a second and the peak of the process's memory.
 *
 * Run: npm run bench:large -- [--items 1000000] [--dims 256] [--features 384] [--steps 300] [--users 128]
 *                             [--uniform N] [--popular N] [--cases 1000] [--backend native] [--full] [--json]
 *
 * Items are taken by a Zipf law over an order of their own; every user walks near a place of the catalogue, so that there
 * is something to learn. `--full` takes the full softmax instead, for comparison where it fits. The checkpoint goes to a folder of its own, which is removed.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { modelConfigSchema } from '@nestrec/contracts';
import { splitLeaveOneOut, type SequenceDataset } from '@nestrec/dataset';
import { createRandom, type Random } from '@nestrec/random';
import { selectBackend, type BackendName } from '@nestrec/tensor';
import {
  createSettings,
  modelSwitches,
  trainModel,
  type TrainingProgress,
} from '@nestrec/training';

const { values: flags } = parseArgs({
  options: {
    items: { type: 'string', default: '1000000' },
    dims: { type: 'string', default: '256' },
    features: { type: 'string', default: '384' },
    steps: { type: 'string', default: '300' },
    users: { type: 'string', default: '128' },
    uniform: { type: 'string' },
    popular: { type: 'string' },
    cases: { type: 'string', default: '1000' },
    backend: { type: 'string', default: 'native' },
    full: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

type NumberFlag = Exclude<keyof typeof flags, 'backend' | 'full' | 'json'>;
function number(name: NumberFlag): number {
  const value = Number(flags[name]);
  if (!Number.isInteger(value) || value < 1) {
    throw new Error(`--${name} is ${flags[name]}; wanted a whole number from 1`);
  }
  return value;
}

const NARROWEST = 16;
/** Events of a user, the two that are kept for validation and test included. */
const EVENTS = 9;
/** How far from a user's place the next item lies at most. */
const NEAR = 50;

/** Nested sizes up to `dims`: doubling from 16. */
function ladder(dims: number): number[] {
  const sizes: number[] = [];
  for (let size = NARROWEST; size < dims; size *= 2) sizes.push(size);
  return [...sizes, dims];
}

/** Items near a place that is drawn by a Zipf law: u^-1 of a uniform u, cut to the catalogue. */
function walks(users: number, items: number, random: Random): SequenceDataset {
  const events = new Int32Array(users * EVENTS);
  for (let user = 0; user < users; user++) {
    const place = Math.floor(items ** random.uniform());
    for (let e = 0; e < EVENTS; e++) {
      events[user * EVENTS + e] = 1 + ((place + random.int(NEAR)) % items);
    }
  }
  return {
    // Training reads how many there are, and no name.
    itemIds: new Array<string>(items).fill('item'),
    offsets: Int32Array.from({ length: users + 1 }, (_, u) => u * EVENTS),
    ...{ items: events, times: null },
  };
}

/** Rows of norm about 1; a xorshift draws them, since there may be hundreds of millions of numbers. */
function randomFeatures(items: number, width: number): Float32Array {
  const features = new Float32Array(items * width);
  const scale = Math.sqrt(3 / width) / 2 ** 31;
  let state = 88_675_123;
  for (let i = 0; i < features.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    features[i] = state * scale;
  }
  return features;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const peakBytes = () => process.resourceUsage().maxRSS * 1_024;

await selectBackend({ force: flags.backend as BackendName });
const [items, steps, usersPerBatch] = [number('items'), number('steps'), number('users')];
const sizes = ladder(number('dims'));
const config = modelConfigSchema.parse({
  ...{ sizes, blocks: 1, featureWidth: number('features'), numItems: items },
  ...modelSwitches('quality'),
});
const settings = createSettings('quality', sizes, {
  ...{ usersPerBatch, maxEpochs: 1, patience: 0, evaluationCases: number('cases') },
  fullSoftmaxItems: flags.full ? items : 0,
  ...(flags.uniform === undefined ? {} : { uniformNegatives: number('uniform') }),
  ...(flags.popular === undefined ? {} : { popularityNegatives: number('popular') }),
});
const startedMs = performance.now();
const split = splitLeaveOneOut(walks(steps * usersPerBatch, items, createRandom(1)));
const features = randomFeatures(items, config.featureWidth);
const dataSeconds = (performance.now() - startedMs) / 1_000;

const folder = await mkdtemp(join(tmpdir(), 'nestrec-large-'));
const path = join(folder, 'run.safetensors');
const stepMs: number[] = [];
const featuresBytes = process.memoryUsage().rss;
let lastMs = 0;
let [loss, firstStepSeconds, stepsPeakBytes, evaluationPeakBytes, evaluationSeconds] =
  new Array<number>(5).fill(NaN) as [number, number, number, number, number];
let primary: number | null = null;

function onProgress(progress: TrainingProgress): void {
  const now = performance.now();
  if (progress.kind === 'step') {
    if (progress.step === 1) firstStepSeconds = (now - startedMs) / 1_000 - dataSeconds;
    else stepMs.push(now - lastMs);
    loss = progress.loss;
    if (progress.step === steps) stepsPeakBytes = peakBytes();
  }
  if (progress.kind === 'epoch') {
    primary = progress.record.primary;
    evaluationPeakBytes = peakBytes();
    evaluationSeconds = (now - lastMs) / 1_000;
  }
  lastMs = now;
}

const checkpoint = { path, everyMs: 3_600_000, other: 'restart' as const };
const trained = await trainModel({
  ...{ config, settings, split, features, seed: 1, checkpoint, onProgress },
});
const checkpointBytes = (await stat(path)).size;
const checkpointSeconds = (performance.now() - lastMs) / 1_000;
await rm(folder, { recursive: true });

const sample = flags.full
  ? null
  : { uniform: settings.uniformNegatives, popular: settings.popularityNegatives };
const result = {
  ...{ backend: flags.backend, items, sizes, featureWidth: config.featureWidth, usersPerBatch },
  ...{ sample, steps: trained.steps, stepMs: median(stepMs) },
  usersPerSecond: (1_000 * usersPerBatch) / median(stepMs),
  ...{ dataSeconds, firstStepSeconds, loss, primary, evaluationSeconds, checkpointSeconds },
  ...{ checkpointBytes, featuresBytes, stepsPeakBytes, evaluationPeakBytes },
  ...{ peakBytes: peakBytes(), seconds: trained.seconds },
};
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
const seen =
  sample === null
    ? 'every item'
    : `${sample.uniform} items drawn uniformly, ${sample.popular} by popularity`;
const lines = [
  `${items} items, sizes ${sizes.join(', ')}, ${config.featureWidth} features, backend ${flags.backend}; ` +
    `a step: ${usersPerBatch} users, ${seen}`,
  `${trained.steps} steps: ${result.stepMs.toFixed(0)} ms each (median), ` +
    `${result.usersPerSecond.toFixed(0)} users/s, loss ${loss.toFixed(3)}`,
  `before the first step ${firstStepSeconds.toFixed(0)} s; evaluation of ${number('cases')} cases ` +
    `${evaluationSeconds.toFixed(0)} s; checkpoint of ${gigabytes(checkpointBytes)} ${checkpointSeconds.toFixed(0)} s`,
  `peak memory ${gigabytes(result.peakBytes)} (after the steps ${gigabytes(stepsPeakBytes)}, after the evaluation ` +
    `${gigabytes(evaluationPeakBytes)}; features alone ${gigabytes(featuresBytes)})`,
];
process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${lines.join('\n')}\n`);
