import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import { packedBatches, splitLeaveOneOut, type SequenceDataset } from '@nestrec/dataset';
import { initParameters, ITEM_RESIDUAL } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import { suiteBackends } from '../../../../tests/helpers/backends.js';
import { hashArrays } from '../hash-bytes.js';
import type { TrainingProgress } from '../progress.js';
import { createSettings, type TrainingSettings } from '../settings.js';
import { trainModel, type TrainModelInput } from '../train-model.js';
import { createSampledSteps, isSampled } from './sampled-steps.js';

const [ITEMS, USERS, EVENTS, WIDTH] = [200, 20, 5, 3];
const SIZES = [2, 4];
const CONFIG: ModelConfig = {
  ...{ sizes: SIZES, blocks: 1, featureWidth: WIDTH, numItems: ITEMS, useBias: true },
  ...{ itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
};

/** Every user walks through the items in order, from an own start. */
function walks(): SequenceDataset {
  return {
    itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i}`),
    offsets: Int32Array.from({ length: USERS + 1 }, (_, u) => EVENTS * u),
    items: Int32Array.from({ length: EVENTS * USERS }, (_, e) => {
      const user = Math.floor(e / EVENTS);
      return 1 + ((3 * user + (e % EVENTS)) % ITEMS);
    }),
    times: null,
  };
}

function settings(overrides: Partial<TrainingSettings> = {}): TrainingSettings {
  return createSettings('fast', SIZES, {
    ...{ maxEpochs: 2, usersPerBatch: 8, patience: 0, fullSoftmaxItems: 100 },
    ...{ uniformNegatives: 10, popularityNegatives: 10, ...overrides },
  });
}

const random = createRandom(1);
const FEATURES = Float32Array.from({ length: ITEMS * WIDTH }, () => random.normal());

function input(overrides: Partial<TrainModelInput> = {}): TrainModelInput {
  const split = splitLeaveOneOut(walks());
  return {
    ...{ config: CONFIG, settings: settings(), split, features: FEATURES, seed: 3 },
    ...overrides,
  };
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-sampled-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the choice of steps', () => {
  it('samples above `fullSoftmaxItems` items, not at it', () => {
    expect(isSampled({ numItems: 100 }, { fullSoftmaxItems: 100 })).toBe(false);
    expect(isSampled({ numItems: 101 }, { fullSoftmaxItems: 100 })).toBe(true);
    expect(isSampled({ numItems: 1 }, { fullSoftmaxItems: 0 })).toBe(true);
  });
});

describe.each(suiteBackends)('steps against a sample on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it('trains what the full softmax trains where every item is a candidate', async () => {
    const everything = settings({ uniformNegatives: ITEMS });
    const sampled = await trainModel(input({ settings: everything }));
    const full = await trainModel(input({ settings: { ...everything, fullSoftmaxItems: 1_000 } }));
    sampled.epochs.forEach(({ loss }, i) => expect(loss).toBeCloseTo(full.epochs[i]!.loss, 3));
    for (const [name, { data }] of full.parameters) {
      const got = sampled.parameters.get(name)!.data;
      // A parameter whose gradient is almost nothing moves by the sign of its rounding: hence no closer.
      data.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(0.02));
    }
  });

  it('goes on from a checkpoint, in the middle of an epoch, to the unbroken result to the bit', async () => {
    const before = tf.memory().numTensors;
    const unbroken = await trainModel(input());
    const path = join(folder, `${backend}.safetensors`);
    const checkpoint = { path, everyMs: 3_600_000, other: 'refuse' as const };
    const controller = new AbortController();
    const onProgress = (p: TrainingProgress) => {
      if (p.kind === 'step' && p.step === 4) controller.abort();
    };
    await expect(
      trainModel(input({ checkpoint, onProgress, signal: controller.signal })),
    ).rejects.toThrow(/step 4/);
    const resumed = await trainModel(input({ checkpoint }));
    expect(resumed.resumedAtStep).toBe(4);
    expect(hashArrays(resumed.parameters)).toBe(hashArrays(unbroken.parameters));
    expect(resumed.epochs).toEqual(unbroken.epochs);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('moves the rows of candidates and leaves all others, and their moments, to the last bit', async () => {
    const stored = initParameters(CONFIG, createRandom(2));
    const start = stored.get(ITEM_RESIDUAL)!.data.slice();
    const { train } = splitLeaveOneOut(walks());
    const chosen = settings();
    const steps = createSampledSteps({
      ...{ config: CONFIG, settings: chosen, features: FEATURES, whitening: null, train },
      ...{ parameters: stored, optimizer: new Map(), stepsDone: 0, totalSteps: 100 },
      random: createRandom(5).state(),
    });
    const [batch] = packedBatches(train, { ...chosen, random: createRandom(6) });
    await steps.step(batch!, 0);
    const rowsOf = (arrays: NamedArrays, name: string) => {
      const { data } = arrays.get(name)!;
      const width = SIZES.at(-1)!;
      return Array.from({ length: ITEMS }, (_, i) => [
        ...data.subarray(i * width, (i + 1) * width),
      ]);
    };
    const moved = rowsOf(await steps.exportParameters(), ITEM_RESIDUAL);
    const optimizer = await steps.exportOptimizer();
    const [m, v] = ['m', 'v'].map((key) => rowsOf(optimizer, `${ITEM_RESIDUAL}/${key}`));
    const before = rowsOf(new Map([['x', { shape: [], data: start }]]), 'x');
    const touched = moved.map((row, i) => row.some((value, d) => value !== before[i]![d]));
    for (const item of [...batch!.inputs, ...batch!.targets]) {
      if (item !== 0) expect(touched[item - 1]).toBe(true);
    }
    const count = touched.filter(Boolean).length;
    expect(count).toBeGreaterThan(batch!.labels / 2);
    expect(count).toBeLessThan(100);
    const none = new Array(SIZES.at(-1)!).fill(0);
    touched.forEach((was, i) => {
      if (was) return;
      expect(moved[i]).toEqual(before[i]);
      expect([m![i], v![i]]).toEqual([none, none]);
    });
    await steps.dispose();
  });
});
