import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { splitLeaveOneOut, type SequenceDataset } from '@nestrec/dataset';
import { Interrupted } from '@nestrec/errors';
import { caseScorerOf, fitPopularity, metricsOfRanks, type CaseScorer } from '@nestrec/evaluation';
import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashArrays } from '../hash-bytes.js';
import type { TrainingProgress } from '../progress.js';
import { askedOf } from '../seen-items.js';
import { sasrecScorer } from './sasrec-scorer.js';
import { createSasrecSettings, type SasrecSettings } from './settings.js';
import { trainSasrec, type TrainSasrecInput } from './train-sasrec.js';

const ITEMS = 40;
const USERS = 200;

/** First-order: item i is followed by i + 7 (mod N) three times in four, by any other item else. */
function walks(): SequenceDataset {
  const random = createRandom(4);
  const offsets = [0];
  const items: number[] = [];
  for (let u = 0; u < USERS; u++) {
    let item = random.int(ITEMS);
    const length = 4 + random.int(9);
    for (let e = 0; e < length; e++) {
      items.push(item + 1);
      item = random.uniform() < 0.75 ? (item + 7) % ITEMS : random.int(ITEMS);
    }
    offsets.push(items.length);
  }
  return {
    itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i}`),
    ...{ offsets: Int32Array.from(offsets), items: Int32Array.from(items), times: null },
  };
}

const split = splitLeaveOneOut(walks());

function input(
  settings: Partial<SasrecSettings> = {},
  more: Partial<TrainSasrecInput> = {},
): TrainSasrecInput {
  const small = { usersPerBatch: 25, dropout: 0.1, warmupSteps: 0, learningRate: 0.01 };
  return {
    ...{ split, numItems: ITEMS, seed: 3 },
    settings: createSasrecSettings(8, { maxLength: 8, maxEpochs: 2, ...small, ...settings }),
    ...more,
  };
}

const ndcg = (scorer: CaseScorer) =>
  metricsOfRanks(scorer.answer(askedOf(split.cases('test'), ITEMS), null)[0]!.all)['ndcg@10']!;

let folder: string;
beforeAll(async () => {
  await selectBackend({ force: 'cpu' });
  folder = await mkdtemp(join(tmpdir(), 'nestrec-sasrec-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('trainSasrec', () => {
  it('learns what comes after what, far better than popularity, and leaves no tensor', async () => {
    const before = tf.memory().numTensors;
    const trained = await trainSasrec(input({ maxEpochs: 15 }));
    const learned = ndcg(sasrecScorer(trained));
    expect(tf.memory().numTensors).toBe(before);
    const popular = ndcg(caseScorerOf(fitPopularity(split.train, ITEMS), ITEMS));
    console.log(`SASRec ${learned.toFixed(3)}, popularity ${popular.toFixed(3)}`);
    expect(learned).toBeGreaterThan(popular + 0.3);
    expect(trained.epochs.at(-1)!.loss).toBeLessThan(trained.epochs[0]!.loss - 0.5);
    // A random guess is right once in N + 1; the first steps are taken from there.
    expect(Math.abs(trained.epochs[0]!.loss - Math.log(ITEMS + 1))).toBeLessThan(0.6);
    expect(trained.bestPrimary).toBe(Math.max(...trained.epochs.map((e) => e.primary!)));
  });

  it('is asked what training asked: the same history gives the same state, however long it is', async () => {
    const trained = await trainSasrec(input());
    const { targets, ...asked } = askedOf(split.cases('validation'), ITEMS);
    const scorer = sasrecScorer(trained);
    const longest = Math.max(...asked.histories.offsets.map((at, c, all) => all[c + 1]! - at || 0));
    expect(longest).toBeGreaterThan(8);
    const answers = scorer.answer({ ...asked, targets }, { of: Int32Array.of(0), length: 5 });
    const { masked } = answers[0]!;
    expect(metricsOfRanks(masked)['ndcg@10']).toBeCloseTo(trained.bestPrimary, 6);
    expect(answers[0]!.lists).toHaveLength(5);
  });

  it('is the same for the same seed and another for another', async () => {
    const hash = async (seed: number) =>
      hashArrays((await trainSasrec(input({ maxEpochs: 1 }, { seed }))).parameters);
    const first = await hash(3);
    expect(await hash(3)).toBe(first);
    expect(await hash(4)).not.toBe(first);
  });

  it('stops when asked to, and goes on from its checkpoint to the unbroken result', async () => {
    const unbroken = await trainSasrec(input());
    const path = join(folder, 'stopped.safetensors');
    const checkpoint = { path, everyMs: 3_600_000, other: 'refuse' as const };
    const controller = new AbortController();
    const onProgress = (p: TrainingProgress) => {
      if (p.kind === 'step' && p.step === 11) controller.abort();
    };
    const control = { checkpoint, onProgress, signal: controller.signal };
    await expect(trainSasrec(input({}, control))).rejects.toThrow(Interrupted);
    const resumed = await trainSasrec(input({}, { checkpoint }));
    expect(hashArrays(resumed.parameters)).toBe(hashArrays(unbroken.parameters));
    // Done, it is not trained again, and another recipe is refused.
    const steps: TrainingProgress[] = [];
    const again = await trainSasrec(input({}, { checkpoint, onProgress: (p) => steps.push(p) }));
    expect(steps).toEqual([]);
    expect(hashArrays(again.parameters)).toBe(hashArrays(unbroken.parameters));
    await expect(trainSasrec(input({ dropout: 0.2 }, { checkpoint }))).rejects.toThrow(
      /other settings/,
    );
  });

  it('refuses settings that do not fit, each by its name', () => {
    expect(() => createSasrecSettings(0, { dropout: 1 })).toThrow(/width: .*; dropout: /);
    expect(() => createSasrecSettings(6, { heads: 4 })).toThrow(/4 heads cannot share out a width/);
  });
});
