/** `bench:quality --alone`: the ladder beside models trained alone, on generated data. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FeatureSpec } from '@nestrec/contracts';
import { createSettings, type TrainingProgress } from '@nestrec/training';
import { selectBackend } from '@nestrec/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  aloneMarkdown,
  compare,
  runAlone,
  settingsAlone,
  type AloneArguments,
} from '../bench/quality/alone.js';
import type { QualityData } from '../bench/quality/beauty.js';
import { FEATURE_WIDTH, smallSet } from './small-set.js';

let folder: string;
beforeAll(async () => {
  await selectBackend({ force: 'wasm' });
  folder = await mkdtemp(join(tmpdir(), 'nestrec-alone-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('runAlone', () => {
  it('trains ladder and sizes alone by every seed, keeps them, and compares case by case', async () => {
    const { dataset, features } = smallSet(80, 200, 1);
    const text = { vectors: features, width: FEATURE_WIDTH };
    const spec: FeatureSpec = {
      modalities: [{ name: 'text', width: FEATURE_WIDTH, kind: 'vector', normalisation: 'l2' }],
      missingIndicators: false,
    };
    const data: QualityData = { dataset, features, featureWidth: FEATURE_WIDTH, text, spec };
    const args: AloneArguments = {
      ...{ sizes: [4, 8], blocks: 1, preset: 'fast', alone: [4, 8], seeds: [1, 2], out: folder },
      ...{ overrides: { maxEpochs: 2, learningRate: 0.01, dropout: [0, 0.1] }, modelOverrides: {} },
    };
    const steps: TrainingProgress[] = [];
    const run = () =>
      runAlone(args, data, 'leave-one-out', (p) => void (p.kind === 'step' && steps.push(p)));
    const first = await run();
    expect((await readdir(folder)).sort()).toEqual(
      ['4-8', '4', '8']
        .flatMap((sizes) =>
          [1, 2].map((seed) => `ladder-${sizes}-seed-${seed}-leave-one-out.safetensors`),
        )
        .sort(),
    );
    expect(steps.length).toBe(2 * 3 * 2 * Math.ceil(200 / 64));
    expect(first.rows.map(({ size, seenMasked }) => [size, seenMasked])).toEqual([
      [4, true],
      [8, true],
      [4, false],
      [8, false],
    ]);
    for (const { ladder, alone, share, shareBySeed } of first.rows) {
      expect(ladder.mean).toBeGreaterThan(0);
      expect(share!.mean).toBeCloseTo(ladder.mean / alone.mean, 12);
      expect(share!.low).toBeLessThan(share!.mean);
      expect(share!.high).toBeGreaterThan(share!.mean);
      expect(shareBySeed).toHaveLength(2);
    }
    expect(aloneMarkdown(first)).toMatch(
      /\| 8 \| masked \| \.\d{4} \| \.\d{4} \| \*\*\d+\.\d %\*\*/,
    );
    // What is kept is not trained again, and says the same.
    steps.length = 0;
    expect(await run()).toEqual(first);
    expect(steps).toEqual([]);
    await expect(
      runAlone({ ...args, alone: [16] }, data, 'leave-one-out', () => {}),
    ).rejects.toThrow(/16, which is no size of the ladder \(4, 8\)/);
  });

  it('gives a size alone what the recipe gives that size in the ladder', () => {
    const sizes = [16, 32, 64, 128];
    for (const preset of ['quality', 'fast'] as const) {
      const whole = createSettings(preset, sizes);
      sizes.forEach((size, k) => {
        const alone = settingsAlone({ preset, sizes, overrides: {} }, size);
        expect(alone).toEqual({
          ...whole,
          dropout: [whole.dropout[k]],
          blockDropout: [whole.blockDropout[k]],
          residualDropout: [whole.residualDropout[k]],
          segmentRates: [whole.segmentRates[k]],
          prefixShares: [whole.prefixShares[k]],
          lossWeights: [1],
        });
      });
    }
    const overrides = { dropout: [0, 0.1, 0.2, 0.3], lossWeights: [0, 0, 0, 1], maxEpochs: 5 };
    expect(settingsAlone({ preset: 'quality', sizes, overrides }, 64)).toMatchObject({
      ...{ dropout: [0.2], lossWeights: [1], maxEpochs: 5 },
    });
  });
});

describe('compare', () => {
  it('is the ratio of means over cases and seeds, with users drawn whole and alike for both sides', () => {
    const user = Int32Array.from({ length: 400 }, (_, c) => c >> 1);
    const alone = [0, 1].map((seed) =>
      Float64Array.from(user, (u) => ((u + seed) % 3 === 0 ? 0.5 : 0)),
    );
    // Nine tenths of every hit: whoever is drawn, the share is .9.
    const ladder = alone.map((gains) => gains.map((gain) => 0.9 * gain));
    const { share, shareBySeed, ladder: mean } = compare(ladder, alone, user);
    for (const value of [share!.mean, share!.low, share!.high, ...shareBySeed])
      expect(value).toBeCloseTo(0.9, 12);
    expect(mean.low).toBeLessThan(mean.high);
  });
});
