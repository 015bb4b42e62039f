/** Training finds what is in the data: every size beats popularity by a wide margin, and repeats exactly. */
import type { ModelExit } from '@nestrec/contracts';
import { beforeAll, describe, expect, it } from 'vitest';
import { splitLeaveOneOut, splitTemporal } from '@nestrec/dataset';
import { selectBackend } from '@nestrec/tensor';
import {
  createSettings,
  createTrainedModel,
  reportQuality,
  trainModel,
  type TrainingProgress,
} from '@nestrec/training';
import { FEATURE_WIDTH, smallConfig, smallSet } from './small-set.js';

const ITEMS = 160;
const SIZES = [8, 16, 32];
const CONFIG = smallConfig(ITEMS, SIZES);
const SETTINGS = createSettings('fast', SIZES, {
  maxEpochs: 12,
  usersPerBatch: 64,
  learningRate: 0.01,
});

beforeAll(() => selectBackend({ force: 'wasm' }));

describe('training on a small set', () => {
  it('beats popularity at every size by a factor of three, on test items, masked or not', async () => {
    const { dataset, features } = smallSet(ITEMS, 600, 1);
    const split = splitLeaveOneOut(dataset);
    const result = await trainModel({
      config: CONFIG,
      settings: SETTINGS,
      split,
      features,
      seed: 1,
    });
    const model = createTrainedModel(CONFIG, result.parameters, features);
    const text = { vectors: features, width: FEATURE_WIDTH };
    const rows = reportQuality({ split, numItems: ITEMS, model, text, maxLength: 50 });
    model.dispose();
    const find = (scorer: string, seenMasked: boolean) =>
      rows.find((r) => r.scorer === scorer && r.part === 'test' && r.seenMasked === seenMasked)!;
    for (const seenMasked of [true, false]) {
      const popularity = find('popularity', seenMasked).metrics['ndcg@10']!;
      for (const size of SIZES) {
        const { metrics, cases } = find(`model@${size}`, seenMasked);
        expect(cases).toBe(600);
        expect(metrics['ndcg@10'], `model@${size}`).toBeGreaterThan(3 * popularity);
      }
    }
    // Early stopping judged the parameters that were handed out, whitening folded back.
    const validation = rows.filter(
      (r) => r.scorer.startsWith('model@') && r.part === 'validation' && r.seenMasked,
    );
    const mean = validation.reduce((s, r) => s + r.metrics['ndcg@10']!, 0) / validation.length;
    expect(mean).toBeCloseTo(result.bestPrimary, 2);
    expect(result.lambdaMax).toBeGreaterThan(0);
    expect(result.lambdaMax).toBeLessThan(1);
  });

  it('learns at an early exit as well as at full depth, where it is trained there and not where it is not', async () => {
    const { dataset, features } = smallSet(ITEMS, 600, 1);
    const split = splitLeaveOneOut(dataset);
    const exit = { blocks: 1, dim: 16 };
    const ndcgOf = async (exits: ModelExit[] | undefined) => {
      const config = { ...CONFIG, blocks: 2, exits };
      const trained = await trainModel({ config, settings: SETTINGS, split, features, seed: 1 });
      // Asked at the exit, whether it was trained there or not.
      const asked = { ...config, exits: [exit] };
      const model = createTrainedModel(asked, trained.parameters, features);
      const rows = reportQuality({ split, numItems: ITEMS, model, text: null, maxLength: 50 });
      model.dispose();
      return (scorer: string) =>
        rows.find((r) => r.scorer === scorer && r.part === 'test' && r.seenMasked)!.metrics[
          'ndcg@10'
        ]!;
    };
    const with_ = await ndcgOf([exit]);
    const without = await ndcgOf(undefined);
    const popularity = with_('popularity');
    for (const size of [8, 16, 32]) {
      expect(with_(`model@${size}`), `model@${size}`).toBeGreaterThan(3 * popularity);
    }
    for (const size of [8, 16]) {
      expect(with_(`exit1@${size}`)).toBeGreaterThan(0.8 * with_(`model@${size}`));
      expect(with_(`exit1@${size}`)).toBeGreaterThan(without(`exit1@${size}`));
    }
  });

  it('reports every scorer on both parts, masked and not, under the temporal protocol too', async () => {
    const { dataset, features } = smallSet(ITEMS, 300, 2);
    const split = splitTemporal(dataset, { validationFraction: 0.1, testFraction: 0.1 });
    const settings = { ...SETTINGS, maxEpochs: 1 };
    const result = await trainModel({ config: CONFIG, settings, split, features, seed: 1 });
    const model = createTrainedModel(CONFIG, result.parameters, features);
    const text = { vectors: features, width: FEATURE_WIDTH };
    const rows = reportQuality({ split, numItems: ITEMS, model, text, maxLength: 50 });
    model.dispose();
    const scorers = ['model@8', 'model@16', 'model@32', 'popularity', 'markov', 'cooccurrence'];
    expect(rows.map((r) => `${r.scorer} ${r.part} ${r.seenMasked}`).sort()).toEqual(
      [...scorers, 'text-cosine']
        .flatMap((s) =>
          ['test', 'validation'].flatMap((p) => [`${s} ${p} true`, `${s} ${p} false`]),
        )
        .sort(),
    );
    expect(new Set(rows.map((r) => r.protocol))).toEqual(new Set(['temporal']));
    expect(Object.keys(rows[0]!.metrics)).toHaveLength(12);
  });

  it('has the golden loss of seed 7 within 0.1 %', async () => {
    const { dataset, features } = smallSet(80, 120, 3);
    const sizes = [4, 8];
    const losses: number[] = [];
    const onProgress = (p: TrainingProgress) => {
      if (p.kind === 'epoch') losses.push(p.record.loss);
    };
    await trainModel({
      config: smallConfig(80, sizes, 2),
      settings: createSettings('quality', sizes, { maxEpochs: 3, usersPerBatch: 16, patience: 0 }),
      ...{ split: splitLeaveOneOut(dataset), features, seed: 7, onProgress },
    });
    expect(losses).toHaveLength(3);
    GOLDEN_LOSSES.forEach((golden, i) => {
      expect(Math.abs(losses[i]! / golden - 1)).toBeLessThan(1e-3);
    });
  });
});

/** Mean training loss of the three epochs on wasm; a change here is a change of the recipe. */
const GOLDEN_LOSSES = [4.3553, 4.3246, 4.3047];
