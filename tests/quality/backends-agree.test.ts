/** One seed gives one training: every backend of this machine follows the same losses, and learns as much. */
import { describe, expect, it } from 'vitest';
import { splitLeaveOneOut } from '@nestrec/dataset';
import { selectBackend, type BackendName } from '@nestrec/tensor';
import { createSettings, trainModel, type TrainingProgress } from '@nestrec/training';
import { suiteBackends } from '../helpers/backends.js';
import { smallConfig, smallSet } from './small-set.js';

const ITEMS = 160;
const SIZES = [8, 16, 32];
const STEPS = 200;

async function lossesOn(backend: BackendName): Promise<number[]> {
  await selectBackend({ force: backend });
  const { dataset, features } = smallSet(ITEMS, 640, 4);
  const losses: number[] = [];
  const onProgress = (p: TrainingProgress) => {
    if (p.kind === 'step') losses.push(p.loss);
  };
  await trainModel({
    config: smallConfig(ITEMS, SIZES),
    // Dropout of the ladder: its masks come from the seed, not from the backend.
    settings: createSettings('fast', SIZES, { maxEpochs: 10, usersPerBatch: 32, patience: 0 }),
    ...{ split: splitLeaveOneOut(dataset), features, seed: 9, onProgress },
  });
  return losses;
}

describe('a short training', () => {
  const reference = lossesOn('cpu');

  it.each(suiteBackends.filter((name) => name !== 'cpu'))(
    'on %s has the losses of cpu within 1e-3 over 200 steps',
    async (backend) => {
      const wanted = await reference;
      expect(wanted).toHaveLength(STEPS);
      expect(wanted.at(-1)!).toBeLessThan(0.95 * wanted[0]!);
      const got = await lossesOn(backend);
      const worst = Math.max(...got.map((loss, i) => Math.abs(loss / wanted[i]! - 1)));
      expect(got).toHaveLength(STEPS);
      expect(worst).toBeLessThan(1e-3);
    },
  );
});
