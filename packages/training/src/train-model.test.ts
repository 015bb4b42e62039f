import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelConfig } from '@nestrec/contracts';
import {
  buildDataset,
  Spill,
  splitLeaveOneOut,
  type DatasetRow,
  type SequenceDataset,
} from '@nestrec/dataset';
import { Interrupted, isError, TrainingDiverged } from '@nestrec/errors';
import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import { hashArrays } from './hash-bytes.js';
import type { TrainingProgress } from './progress.js';
import { createSettings } from './settings.js';
import { trainModel, type TrainModelInput } from './train-model.js';

const ITEMS = 12;
const USERS = 20;
const WIDTH = 3;
const SIZES = [2, 4];
const CONFIG: ModelConfig = {
  ...{ sizes: SIZES, blocks: 1, featureWidth: WIDTH, numItems: ITEMS, useBias: true },
  ...{ itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
};

/** Every user walks through the items in order, from an own start. */
function walks(): SequenceDataset {
  const offsets = Int32Array.from({ length: USERS + 1 }, (_, u) => 5 * u);
  const items = Int32Array.from({ length: 5 * USERS }, (_, e) => {
    const user = Math.floor(e / 5);
    return 1 + ((user + (e % 5)) % ITEMS);
  });
  return {
    itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i}`),
    ...{ offsets, items, times: null },
  };
}

function input(overrides: Partial<TrainModelInput> = {}): TrainModelInput {
  const random = createRandom(1);
  return {
    config: CONFIG,
    settings: createSettings('fast', SIZES, { maxEpochs: 2, usersPerBatch: 8, patience: 0 }),
    split: splitLeaveOneOut(walks()),
    features: Float32Array.from({ length: ITEMS * WIDTH }, () => random.normal()),
    seed: 3,
    ...overrides,
  };
}

let folder: string;
beforeAll(async () => {
  await selectBackend({ force: 'cpu' });
  folder = await mkdtemp(join(tmpdir(), 'nestrec-training-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('trainModel', () => {
  it('leaves no tensor behind, whether it ends well or not', async () => {
    const before = tf.memory().numTensors;
    await trainModel(input());
    await expect(trainModel(input({ signal: AbortSignal.abort() }))).rejects.toThrow();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('ends the thread that packs batches from a file, whether it ends well or not', async () => {
    const { items, offsets, itemIds } = walks();
    const rows = [...items.subarray(0, items.length)].map((item, e): DatasetRow => ({
      userId: `u${String(Math.floor(e / 5)).padStart(2, '0')}`,
      itemId: itemIds[item - 1]!,
      ...{ timestampMs: e, eventId: `e${e}` },
    }));
    const spill = new Spill({ folder, eventsInMemory: 0 });
    const threads: Worker[] = [];
    const note = (thread: Worker) => threads.push(thread);
    process.on('worker', note);
    try {
      const dataset = await buildDataset([rows], { spill, catalogue: itemIds });
      expect(dataset.offsets).toEqual(offsets);
      const split = splitLeaveOneOut(dataset);
      const { parameters } = await trainModel(input({ split }));
      expect(hashArrays(parameters)).toBe(hashArrays((await trainModel(input())).parameters));
      const stopped = trainModel(input({ split, signal: AbortSignal.abort() }));
      await expect(stopped).rejects.toThrow(Interrupted);
    } finally {
      process.off('worker', note);
      spill.close();
    }
    expect(threads.map((thread) => thread.threadId)).toEqual([-1, -1]);
  });

  it('tells loss, speed and time left at each step, and judges each epoch', async () => {
    const told: TrainingProgress[] = [];
    const result = await trainModel(input({ onProgress: (p) => told.push(p) }));
    const steps = told.filter((p) => p.kind === 'step');
    const epochs = told.filter((p) => p.kind === 'epoch');
    // 20 users, 8 a batch: 3 steps an epoch.
    expect(steps.map((p) => [p.epoch, p.step, p.totalSteps])).toEqual([
      [1, 1, 6],
      [1, 2, 6],
      [1, 3, 6],
      [2, 4, 6],
      [2, 5, 6],
      [2, 6, 6],
    ]);
    for (const step of steps) {
      expect(step.loss).toBeGreaterThan(0);
      expect(step.usersPerSecond).toBeGreaterThan(0);
    }
    expect(steps.at(-1)!.etaSeconds).toBe(0);
    expect(epochs.map((p) => p.record)).toEqual(result.epochs);
    for (const { lambdaMax, bySize, primary } of result.epochs) {
      expect(lambdaMax).toBeGreaterThan(0);
      expect(Object.keys(bySize)).toEqual(['2', '4']);
      expect(primary).toBeCloseTo((bySize['2']! + bySize['4']!) / 2, 12);
    }
    const best = Math.max(...result.epochs.map((e) => e.primary!));
    expect(result.bestPrimary).toBe(best);
    expect(result.epochs[result.bestEpoch - 1]!.primary).toBe(best);
  });

  it('gives the same weights for the same seed and others for another', async () => {
    const hash = async (seed: number) => hashArrays((await trainModel(input({ seed }))).parameters);
    const first = await hash(3);
    expect(await hash(3)).toBe(first);
    expect(await hash(4)).not.toBe(first);
  });

  it('stops when asked to, keeps a checkpoint, and goes on to the unbroken result', async () => {
    const unbroken = await trainModel(input());
    const path = join(folder, 'stopped.safetensors');
    const checkpoint = { path, everyMs: 3_600_000, other: 'refuse' as const };
    const controller = new AbortController();
    const onProgress = (p: TrainingProgress) => {
      if (p.kind === 'step' && p.step === 4) controller.abort();
    };
    const stopped = trainModel(input({ checkpoint, onProgress, signal: controller.signal }));
    const error: unknown = await stopped.then(
      () => null,
      (e: unknown) => e,
    );
    expect(isError(error, Interrupted)).toBe(true);
    expect((await stat(path)).size).toBeGreaterThan(0);
    const resumed = await trainModel(input({ checkpoint }));
    expect(resumed.resumedAtStep).toBe(4);
    expect(hashArrays(resumed.parameters)).toBe(hashArrays(unbroken.parameters));
    expect(resumed.epochs).toEqual(unbroken.epochs);
  });

  it('trains on fewer feature directions, resumes, and gives a projector for the raw features', async () => {
    const settings = { ...input().settings, featureComponents: 2 };
    const notes: string[] = [];
    const unbroken = await trainModel(
      input({ settings, onProgress: (p) => void (p.kind === 'note' && notes.push(p.text)) }),
    );
    expect(notes.join()).toMatch(/cut from 3 to 2 directions, which hold \d+\.\d % of/);
    const projector = unbroken.parameters.get('embedding.projector.weight')!;
    expect(projector.shape).toEqual([4, WIDTH]);
    expect(projector.data).toHaveLength(4 * WIDTH);
    // Its rows lie in a plane: the third row is a sum of the first two.
    const [a, b, c] = [0, 1, 2].map((d) => [...projector.data.subarray(d * 3, d * 3 + 3)]);
    const cross = [0, 1, 2].map(
      (i) => a![(i + 1) % 3]! * b![(i + 2) % 3]! - a![(i + 2) % 3]! * b![(i + 1) % 3]!,
    );
    const inner = cross.reduce((sum, v, i) => sum + v * c![i]!, 0);
    expect(Math.abs(inner)).toBeLessThan(1e-5 * Math.hypot(...cross) * Math.hypot(...c!));
    const path = join(folder, 'cut.safetensors');
    const checkpoint = { path, everyMs: 3_600_000, other: 'refuse' as const };
    const controller = new AbortController();
    const onProgress = (p: TrainingProgress) => {
      if (p.kind === 'step' && p.step === 4) controller.abort();
    };
    await expect(
      trainModel(input({ settings, checkpoint, onProgress, signal: controller.signal })),
    ).rejects.toThrow(Interrupted);
    await expect(trainModel(input({ checkpoint }))).rejects.toThrow(/run with other settings/);
    const resumed = await trainModel(input({ settings, checkpoint }));
    expect(resumed.resumedAtStep).toBe(4);
    expect(hashArrays(resumed.parameters)).toBe(hashArrays(unbroken.parameters));
  });

  it('leaves features alone that are no wider than the cut, and says nothing', async () => {
    const whole = await trainModel(input());
    for (const featureComponents of [WIDTH, WIDTH + 1]) {
      const settings = { ...input().settings, featureComponents };
      const onProgress = (p: TrainingProgress) => expect(p.kind).not.toBe('note');
      const { parameters } = await trainModel(input({ settings, onProgress }));
      expect(hashArrays(parameters)).toBe(hashArrays(whole.parameters));
    }
  });

  it("refuses another run's checkpoint, or starts anew and says so when told to", async () => {
    const path = join(folder, 'other.safetensors');
    await trainModel(input({ checkpoint: { path, everyMs: 0, other: 'refuse' } }));
    const other = { seed: 9, checkpoint: { path, everyMs: 0, other: 'refuse' as const } };
    await expect(trainModel(input(other))).rejects.toThrow(/belongs to a run with other settings/);
    const notes: string[] = [];
    const restarted = await trainModel(
      input({
        seed: 9,
        checkpoint: { path, everyMs: 0, other: 'restart' },
        onProgress: (p) => void (p.kind === 'note' && notes.push(p.text)),
      }),
    );
    expect(restarted.resumedAtStep).toBe(0);
    expect(notes.join()).toMatch(/starting anew/);
  });

  it.each([
    ['as they are', { whitenFeatures: false, featureComponents: 0 }, 4],
    ['whitened', { featureComponents: 0 }, 5],
    ['cut', { featureComponents: 2 }, 5],
  ])('ends with a clear error when a number is not finite, features %s', async (_, how, at) => {
    const features = input().features.map((v, i) => (i === at ? Number.NaN : v));
    const drawn = { maxEpochs: 1, itemStart: 'drawn', ...how } as const;
    const settings = createSettings('fast', SIZES, drawn);
    const error: unknown = await trainModel(input({ features, settings })).then(
      () => null,
      (e: unknown) => e,
    );
    expect(isError(error, TrainingDiverged)).toBe(true);
    expect(String(error)).toMatch(/step 1 of epoch 1 .*lower learningRate/);
    const spectral = createSettings('fast', SIZES, { maxEpochs: 1, ...how });
    await expect(trainModel(input({ features, settings: spectral }))).rejects.toThrow(
      /features of item \d+ .* hold NaN/,
    );
  });

  it('trains without features, without residual, and with two blocks', async () => {
    const bare = { ...CONFIG, featureWidth: 0 };
    const idsOnly = await trainModel(input({ config: bare, features: new Float32Array(0) }));
    expect(idsOnly.parameters.has('embedding.projector.weight')).toBe(false);
    const featuresOnly = { ...CONFIG, itemResidual: false, scoreScale: false, blocks: 2 };
    const { parameters } = await trainModel(input({ config: featuresOnly }));
    expect(parameters.has('embedding.item_residual')).toBe(false);
    expect([...parameters.keys()].some((name) => name.includes('lru_blocks.1.'))).toBe(true);
  });
});
