import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelConfigSchema } from '@nestrec/contracts';
import { splitLeaveOneOut, type SequenceDataset } from '@nestrec/dataset';
import { InsufficientMemory, Interrupted, isError } from '@nestrec/errors';
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
const config = (numItems: number, featureWidth: number, sizes: number[]) =>
  modelConfigSchema.parse({
    ...{ sizes, blocks: 1, featureWidth, numItems, itemResidual: true, scoreScale: true },
  });

function walks(items: number): SequenceDataset {
  return {
    itemIds: Array.from({ length: items }, (_, i) => `i${i}`),
    offsets: Int32Array.from({ length: USERS + 1 }, (_, u) => 5 * u),
    items: Int32Array.from(
      { length: 5 * USERS },
      (_, e) => 1 + ((Math.floor(e / 5) + (e % 5)) % ITEMS),
    ),
    times: null,
  };
}

function input(overrides: Partial<TrainModelInput> = {}): TrainModelInput {
  const random = createRandom(1);
  return {
    config: config(ITEMS, WIDTH, SIZES),
    settings: createSettings('fast', SIZES, { maxEpochs: 2, usersPerBatch: 8, patience: 0 }),
    split: splitLeaveOneOut(walks(ITEMS)),
    features: Float32Array.from({ length: ITEMS * WIDTH }, () => random.normal()),
    ...{ seed: 3, workers: 2 },
    ...overrides,
  };
}

const threads = () =>
  process.getActiveResourcesInfo().filter((kind) => kind === 'MessagePort' || kind === 'Worker');
const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

let folder: string;
beforeAll(async () => {
  await selectBackend({ force: 'wasm' });
  folder = await mkdtemp(join(tmpdir(), 'nestrec-workers-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('trainModel with workers', () => {
  it('judges every epoch as a run without does, tells their number, and leaves no thread and no tensor', async () => {
    const before = { tensors: tf.memory().numTensors, threads: threads() };
    const told: TrainingProgress[] = [];
    let during: string[] = [];
    const onProgress = (p: TrainingProgress) => {
      told.push(p);
      during = threads();
    };
    const shared = await trainModel(input({ onProgress }));
    expect(during.length).toBeGreaterThan(before.threads.length);
    const alone = await trainModel(input({ workers: 1 }));
    expect(told.filter((p) => p.kind === 'step').map((p) => p.workers)).toEqual(
      new Array<number>(6).fill(2),
    );
    shared.epochs.forEach((epoch, i) => {
      const wanted = alone.epochs[i]!;
      expect(epoch.loss).toBeCloseTo(wanted.loss, 4);
      expect(epoch.lambdaMax).toBeCloseTo(wanted.lambdaMax, 5);
      expect(epoch.primary).toBeCloseTo(wanted.primary!, 2);
    });
    expect({ tensors: tf.memory().numTensors, threads: threads() }).toEqual(before);
  });

  it('stops when asked to, ends its threads, and goes on with any number of workers', async () => {
    const before = { tensors: tf.memory().numTensors, threads: threads() };
    const unbroken = await trainModel(input());
    const stop = async (name: string) => {
      const checkpoint = { path: join(folder, name), everyMs: 3_600_000, other: 'refuse' as const };
      const controller = new AbortController();
      const onProgress = (p: TrainingProgress) => {
        if (p.kind === 'step' && p.step === 4) controller.abort();
      };
      const { signal } = controller;
      const error = await failureOf(trainModel(input({ checkpoint, onProgress, signal })));
      expect(isError(error, Interrupted), String(error)).toBe(true);
      expect({ tensors: tf.memory().numTensors, threads: threads() }).toEqual(before);
      return checkpoint;
    };
    const same = await trainModel(input({ checkpoint: await stop('same') }));
    expect(same.resumedAtStep).toBe(4);
    expect(hashArrays(same.parameters)).toBe(hashArrays(unbroken.parameters));
    for (const workers of [1, 3]) {
      const checkpoint = await stop(`other-${workers}`);
      const other = await trainModel(input({ checkpoint, workers }));
      expect(other.resumedAtStep).toBe(4);
      expect(other.epochs.at(-1)!.loss).toBeCloseTo(unbroken.epochs.at(-1)!.loss, 4);
    }
  });

  it('refuses a model that does not fit the heap of wasm before it makes one', async () => {
    const items = 2_000_000;
    const sizes = [128, 256];
    const tooLarge = {
      ...{ config: config(items, 0, sizes), features: new Float32Array(0) },
      settings: createSettings('fast', sizes, { fullSoftmaxItems: items }),
      split: splitLeaveOneOut(walks(items)),
    };
    const error = await failureOf(trainModel(input(tooLarge)));
    expect(isError(error, InsufficientMemory), String(error)).toBe(true);
    expect(String(error)).toMatch(/2000000 items x 256 dimensions/);
  });
});
