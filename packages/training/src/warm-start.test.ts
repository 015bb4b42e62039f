import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ModelConfig, NamedArray, NamedArrays } from '@nestrec/contracts';
import { splitLeaveOneOut } from '@nestrec/dataset';
import { initParameters, ITEM_PARAMETERS, ITEM_RESIDUAL, itemVectors } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import { hashArrays } from './hash-bytes.js';
import { createSettings, warmStartSettings } from './settings.js';
import { trainModel, type TrainModelInput } from './train-model.js';
import { startingParameters, transferParameters } from './warm-start.js';
import { fitInvertibleWhitening, foldProjector } from './whitening.js';

const WIDTH = 5;
const SIZES = [2, 4];
const configOf = (numItems: number): ModelConfig => ({
  ...{ sizes: SIZES, blocks: 1, featureWidth: WIDTH, numItems, useBias: true },
  ...{ itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
});
const featuresOf = (numItems: number, seed: number) => {
  const random = createRandom(seed);
  // The last feature is one that no item has.
  return Float32Array.from({ length: numItems * WIDTH }, (_, i) =>
    i % WIDTH === WIDTH - 1 ? 0 : random.normal(),
  );
};

/** Twenty users walk through the items in order. */
function walks(numItems: number) {
  const offsets = Int32Array.from({ length: 21 }, (_, u) => 5 * u);
  const items = Int32Array.from(
    { length: 100 },
    (_, e) => 1 + ((Math.floor(e / 5) + (e % 5)) % numItems),
  );
  const itemIds = Array.from({ length: numItems }, (_, i) => `i${i}`);
  return splitLeaveOneOut({ itemIds, offsets, items, times: null });
}

function warmRun(trains: 'all' | 'query', more: Partial<TrainModelInput> = {}): TrainModelInput {
  const config = configOf(12);
  const mode = trains === 'query' ? 'query_only' : 'incremental';
  const settings = createSettings('fast', SIZES, { usersPerBatch: 8, patience: 0 });
  return {
    ...{ config, split: walks(12), features: featuresOf(12, 1), seed: 3 },
    settings: warmStartSettings(settings, mode),
    start: { parameters: initParameters(config, createRandom(9)), trains },
    ...more,
  };
}

const of = (parameters: NamedArrays, names: readonly string[]) =>
  new Map([...parameters].filter(([name]) => names.includes(name)));
const largest = (values: Float32Array) => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);

beforeAll(() => selectBackend({ force: 'cpu' }));

describe('transferParameters', () => {
  it('leaves the vectors of items that are in both as they were, to the bit, whatever comes and goes', () => {
    const ids = fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(ids, ids, fc.integer({ min: 0, max: 1_000 }), (before, after, seed) => {
        const [from, to] = [before, after].map((list) => list.map((n) => `i${n}`)) as [
          string[],
          string[],
        ];
        const parameters = initParameters(configOf(from.length), createRandom(seed));
        const all = featuresOf(41, seed);
        const rows = (list: number[]) =>
          Float32Array.from(list.flatMap((n) => [...all.subarray(n * WIDTH, (n + 1) * WIDTH)]));
        const moved = transferParameters(parameters, from, to);
        const old = itemVectors(configOf(from.length), parameters, rows(before));
        const fresh = itemVectors(configOf(to.length), moved, rows(after));
        const vector = (vectors: Float32Array, row: number) =>
          vectors.subarray(4 * row, 4 * row + 4);
        to.forEach((id, row) => {
          const known = from.indexOf(id);
          if (known >= 0) expect(vector(fresh, row)).toEqual(vector(old, known));
          else {
            const residual = moved.get(ITEM_RESIDUAL)!.data;
            expect(vector(residual, row)).toEqual(new Float32Array(4));
          }
        });
      }),
    );
  });
});

describe('a warm start', () => {
  it('sees through the whitening the same projector, also where no item has a feature', () => {
    const config = configOf(12);
    const features = featuresOf(12, 1);
    const parameters = initParameters(config, createRandom(9));
    const whitening = fitInvertibleWhitening(features, WIDTH);
    const start = startingParameters(config, { parameters, trains: 'all' }, whitening);
    const projector = parameters.get('embedding.projector.weight')!.data;
    const back = foldProjector(start.get('embedding.projector.weight')!.data, whitening);
    const error = largest(back.map((v, i) => v - projector[i]!));
    expect(error).toBeLessThan(1e-5 * largest(projector));
    // What it was given is another run's.
    start.get(ITEM_RESIDUAL)!.data.fill(7);
    expect(parameters.get(ITEM_RESIDUAL)!.data).not.toContain(7);
  });

  it('ends near where it began when the rate is almost nothing, and elsewhere when it is not', async () => {
    const run = warmRun('all');
    const distance = async (learningRate: number) => {
      const settings = { ...run.settings, learningRate, weightDecay: 0 };
      const { parameters } = await trainModel({ ...run, settings });
      const start = run.start!.parameters;
      return Math.max(
        ...[...parameters].map(([name, { data }]) =>
          largest(data.map((v, i) => v - start.get(name)!.data[i]!)),
        ),
      );
    };
    expect(await distance(1e-9)).toBeLessThan(1e-5);
    expect(await distance(0.01)).toBeGreaterThan(1e-3);
  });

  it.each(['all', 'query'] as const)(
    'is repeatable to the bit, and depends on what it begins with (%s)',
    async (trains) => {
      const hash = async (more: Partial<TrainModelInput> = {}) =>
        hashArrays((await trainModel(warmRun(trains, more))).parameters);
      const once = await hash();
      expect(await hash()).toBe(once);
      const parameters = initParameters(configOf(12), createRandom(10));
      expect(await hash({ start: { parameters, trains } })).not.toBe(once);
    },
  );

  it.each(['fast', 'sampled'] as const)(
    'of the query side alone leaves what makes item vectors to the bit, and trains all else (%s)',
    async (kind) => {
      const run = warmRun('query');
      const fullSoftmaxItems = kind === 'sampled' ? 1 : run.settings.fullSoftmaxItems;
      const settings = { ...run.settings, fullSoftmaxItems, uniformNegatives: 4 };
      const before = tf.memory().numTensors;
      const { parameters } = await trainModel({ ...run, settings });
      expect(tf.memory().numTensors).toBe(before);
      const start = run.start!.parameters;
      expect(hashArrays(of(parameters, ITEM_PARAMETERS))).toBe(
        hashArrays(of(start, ITEM_PARAMETERS)),
      );
      const unmoved = [...parameters]
        .filter(([name]) => !ITEM_PARAMETERS.includes(name))
        .filter(([name, { data }]) => data.every((v, i) => v === start.get(name)!.data[i]))
        .map(([name]) => name);
      // The imaginary part of the last bias never reaches a score, nothing else stands still.
      expect(unmoved.filter((name) => !name.includes('out_proj'))).toEqual([]);
    },
  );

  it('refuses settings under which parameters would be lost, and names the cure', async () => {
    const run = warmRun('all');
    const cut = { ...run, settings: { ...run.settings, featureComponents: 2 } };
    await expect(trainModel(cut)).rejects.toThrow(/featureComponents is 2.*set it to 0/);
    const query = warmRun('query');
    const whitened = { ...query, settings: { ...query.settings, whitenFeatures: true } };
    await expect(trainModel(whitened)).rejects.toThrow(/whitenFeatures/);
    const dropped = { ...query, settings: { ...query.settings, residualDropout: [0, 0.1] } };
    await expect(trainModel(dropped)).rejects.toThrow(/residualDropout/);
    const parameters: Map<string, NamedArray> = new Map(run.start!.parameters);
    parameters.delete(ITEM_RESIDUAL);
    const lacking = { ...run, start: { parameters, trains: 'all' as const } };
    await expect(trainModel(lacking)).rejects.toThrow(/item_residual is missing/);
  });
});
