import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelConfig } from '@nestrec/contracts';
import { Histories, packedBatches, type PackedBatch } from '@nestrec/dataset';
import { isError, TrainingThreadFailed } from '@nestrec/errors';
import { initParameters } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import { hashArrays } from '../hash-bytes.js';
import { seenItems } from '../seen-items.js';
import { createSettings } from '../settings.js';
import { splitBatch } from './batch-parts.js';
import { createParallelSteps } from './parallel-steps.js';
import { startReplica } from './replica-threads.js';
import { createSharedMemory, ownItems, withItems } from './shared-memory.js';
import { createLocalSteps, type StepsInput, type TrainingSteps } from './training-steps.js';

const SIZES = [4, 8];
/** An odd number of items: the replicas own different numbers of them. */
const ITEMS = 61;
const CONFIG: ModelConfig = {
  ...{ sizes: SIZES, blocks: 2, featureWidth: 5, numItems: ITEMS, useBias: true },
  ...{ itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
};

function histories(users: number): Histories {
  const random = createRandom(5);
  const lengths = Array.from({ length: users }, () => 1 + random.int(9));
  const offsets = Int32Array.from([
    0,
    ...lengths.map(
      (
        (sum) => (n) =>
          (sum += n)
      )(0),
    ),
  ]);
  const items = Int32Array.from({ length: offsets.at(-1)! }, () => 1 + random.int(ITEMS));
  return Histories.of({ offsets, items });
}

function batches(count: number): PackedBatch[] {
  const found: PackedBatch[] = [];
  for (let epoch = 0; found.length < count; epoch++) {
    const random = createRandom(epoch);
    const options = { usersPerBatch: 8, maxLength: 6, windows: 'all' as const, random };
    found.push(...packedBatches(histories(30), options));
  }
  return found.slice(0, count);
}

function input(overrides: Partial<StepsInput> = {}): StepsInput {
  const random = createRandom(3);
  const settings = createSettings('quality', SIZES, {
    ...{ dropout: [0.1, 0.4], residualDropout: [0.2, 0.3], warmupSteps: 3, clipNorm: 1 },
  });
  return {
    ...{ config: CONFIG, settings, stepsDone: 0, totalSteps: 40, optimizer: new Map() },
    features: Float32Array.from({ length: ITEMS * 5 }, () => random.normal()),
    parameters: initParameters(CONFIG, random),
    random: random.state(),
    ...overrides,
  };
}

async function take(steps: TrainingSteps, taken: PackedBatch[], from = 0) {
  const losses: number[] = [];
  const norms: number[] = [];
  for (const [i, batch] of taken.entries()) {
    const { loss, gradientNorm } = await steps.step(batch, from + i);
    losses.push(loss);
    norms.push(gradientNorm);
  }
  return { losses, norms };
}

/** Steps taken by `steps`, which are disposed. */
async function outcome(steps: TrainingSteps, taken: PackedBatch[], from = 0) {
  try {
    const numbers = await take(steps, taken, from);
    const parameters = await steps.exportParameters();
    return { ...numbers, parameters, optimizer: await steps.exportOptimizer() };
  } finally {
    await steps.dispose();
  }
}

beforeAll(() => selectBackend({ force: 'wasm' }));
const tensorsBefore = { count: 0 };
beforeAll(() => void (tensorsBefore.count = tf.memory().numTensors));
afterAll(() => expect(tf.memory().numTensors).toBe(tensorsBefore.count));

const close = (got: ArrayLike<number>, wanted: ArrayLike<number>, tolerance: number) => {
  const scale = Math.max(...Array.from(wanted, Math.abs));
  Array.from(got).forEach((value, i) =>
    expect(Math.abs(value - wanted[i]!)).toBeLessThanOrEqual(tolerance * scale),
  );
};

describe('steps shared by replicas', () => {
  it.each([
    [2, undefined],
    [3, undefined],
    [2, [{ blocks: 1, dim: 4 }]],
  ])(
    'of %i follow a single model over 30 steps within rounding, exits %j',
    async (replicas, exits) => {
      const taken = batches(30);
      const one = input({ config: { ...CONFIG, exits } });
      const single = await outcome(createLocalSteps(one), taken);
      const shared = await outcome(await createParallelSteps(one, replicas), taken);
      taken.forEach((_, i) => {
        expect(Math.abs(shared.losses[i]! / single.losses[i]! - 1)).toBeLessThan(1e-4);
        expect(Math.abs(shared.norms[i]! / single.norms[i]! - 1)).toBeLessThan(1e-3);
      });
      expect([...shared.parameters.keys()]).toEqual([...single.parameters.keys()]);
      expect([...shared.optimizer.keys()].sort()).toEqual([...single.optimizer.keys()].sort());
      for (const [name, { shape, data }] of single.parameters) {
        expect(shared.parameters.get(name)!.shape, name).toEqual(shape);
        close(shared.parameters.get(name)!.data, data, 1e-3);
      }
    },
  );

  it('repeat to the last bit', async () => {
    const run = async () => outcome(await createParallelSteps(input(), 2), batches(6));
    const [one, other] = [await run(), await run()];
    expect(other.losses).toEqual(one.losses);
    expect(hashArrays(other.parameters)).toBe(hashArrays(one.parameters));
    expect(hashArrays(other.optimizer)).toBe(hashArrays(one.optimizer));
  });

  it('go on from a state to the bit of an unbroken run, and from that of another number of replicas', async () => {
    const taken = batches(9);
    const unbroken = await outcome(await createParallelSteps(input(), 2), taken);
    const half = await outcome(await createParallelSteps(input(), 2), taken.slice(0, 5));
    const resumed = { parameters: half.parameters, optimizer: half.optimizer, stepsDone: 5 };
    const rest = taken.slice(5);
    const again = await outcome(await createParallelSteps(input(resumed), 2), rest, 5);
    expect(hashArrays(again.parameters)).toBe(hashArrays(unbroken.parameters));
    const alone = await outcome(createLocalSteps(input(resumed)), rest, 5);
    const three = await outcome(await createParallelSteps(input(resumed), 3), rest, 5);
    for (const other of [alone, three]) close(other.losses, unbroken.losses.slice(5), 1e-5);
  });

  it('rank cases as a single model with the same parameters does', async () => {
    const steps = await createParallelSteps(input(), 2);
    await take(steps, batches(3));
    const parameters = await steps.exportParameters();
    const alone = createLocalSteps(input({ parameters }));
    const cases = {
      user: Int32Array.of(0, 1, 2),
      historyOffsets: Int32Array.of(0, 3, 5, 6),
      history: Int32Array.of(1, 4, 2, 7, 7, 3),
      target: Int32Array.of(5, 1, ITEMS),
    };
    const seen = seenItems(cases, ITEMS);
    const got = await steps.rank(cases, seen);
    expect(got).toEqual(await alone.rank(cases, seen));
    expect(Math.max(...got.all[0]!)).toBeGreaterThan(1);
    await steps.dispose();
    await alone.dispose();
  });

  it('train what has no features, no residual and fewer users than replicas', async () => {
    const bare: ModelConfig = { ...CONFIG, featureWidth: 0, scoreScale: false, blocks: 1 };
    const features: ModelConfig = { ...CONFIG, itemResidual: false, useBias: false };
    const small = { usersPerBatch: 2, maxLength: 4, windows: 'last' as const };
    const taken = [...packedBatches(histories(2), { ...small, random: createRandom(1) })];
    for (const config of [bare, features]) {
      const random = createRandom(8);
      const own = input({
        ...{ config, parameters: initParameters(config, random) },
        features: Float32Array.from({ length: ITEMS * config.featureWidth }, () => random.normal()),
      });
      const single = await outcome(createLocalSteps(own), taken);
      const shared = await outcome(await createParallelSteps(own, 3), taken);
      close(shared.losses, single.losses, 1e-5);
      for (const [name, { data }] of single.parameters) {
        close(shared.parameters.get(name)!.data, data, 1e-4);
      }
    }
  });

  it('end with a typed error when a thread fails to start, fails or ends, and never hang', async () => {
    const typed = async (work: Promise<unknown>, wanted: RegExp) => {
      const error: unknown = await work.then(
        () => null,
        (e: unknown) => e,
      );
      expect(isError(error, TrainingThreadFailed), String(error)).toBe(true);
      expect(String(error)).toMatch(wanted);
    };
    // Only the second replica lacks features: the first one's start is well.
    const whole = input();
    const short = { ...whole, features: whole.features.slice(0, -5) };
    await typed(createParallelSteps(short, 2), /replica 1 failed \(.*item features have/);

    const own = ownItems(ITEMS, 1, 2);
    const start = () => {
      const replica = {
        ...whole,
        ...{ rank: 1, own, itemsInAll: ITEMS, parameters: withItems(whole.parameters, own) },
        config: { ...CONFIG, numItems: own.count },
        features: whole.features.slice(own.first * 5),
      };
      return startReplica({
        backend: 'wasm',
        input: replica,
        shared: createSharedMemory(2, (ITEMS + 1) * 8, 10_000),
      });
    };
    const failing = start();
    await failing.ready;
    await typed(failing.call({ do: 'gradients' }), /replica 1 failed \(.*a phase of a step/);
    await typed(failing.call({ do: 'table' }), /replica 1 failed \(.*a phase of a step/);
    await failing.end();

    const ending = start();
    await ending.ready;
    const pending = ending.call({ do: 'digest' });
    await Promise.all([typed(pending, /replica 1 ended with code 1/), ending.end()]);
    await typed(ending.call({ do: 'table' }), /ended with code 1.*NESTREC_TRAIN_WORKERS=1/);
  });
});

describe('splitBatch', () => {
  it('deals every row to one part, each a packed batch with almost as many rows', () => {
    for (const batch of batches(4)) {
      for (const count of [1, 2, 3, 11]) {
        const parts = splitBatch(batch, count);
        const rows = parts.flatMap((part) => [...part.rows]);
        expect(rows.sort((a, b) => a - b)).toEqual([...batch.inputs.keys()]);
        expect(parts.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
        parts.forEach(({ batch: part, rows: own }, p) => {
          expect([...part.inputs]).toEqual([...own].map((row) => batch.inputs[row]));
          expect([...part.targets]).toEqual([...own].map((row) => batch.targets[row]));
          part.active.forEach((active, t) => {
            expect(part.start[t]).toBe(part.active.slice(0, t).reduce((a, b) => a + b, 0));
            for (let s = 0; s < active; s++) {
              expect(own[part.start[t]! + s]).toBe(batch.start[t]! + p + s * count);
            }
          });
        });
      }
    }
  });
});
