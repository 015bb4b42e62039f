/** Items that a training never heard of are recommended by what is known of items like them, at no cost to others. */
import type { FeatureSpec } from '@nestrec/contracts';
import { splitLeaveOneOut, type EvaluationCases } from '@nestrec/dataset';
import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import { createSettings, learnColdItems, modelSwitches, trainModel } from '@nestrec/training';
import { beforeAll, describe, expect, it } from 'vitest';
import { allVectors, chosen, ndcgAmong, rowsOf, withoutItems } from '../helpers/cold-split.js';

const [GROUPS, SLOTS, VARIANTS] = [10, 6, 3];
const [ITEMS, USERS, SHARE, SEED] = [GROUPS * SLOTS * VARIANTS, 1_000, 0.05, 1];
const SIZES = [8, 16, 32];
const FEATURE_WIDTH = 24;
const SPEC: FeatureSpec = {
  modalities: [{ name: 'text', width: FEATURE_WIDTH, kind: 'vector', normalisation: 'l2' }],
  missingIndicators: false,
};

/**
 * A shop whose products come in variants, as colours do: users walk along a group's cycle of products and take any
 * variant of each. Features of variants are nearly one, those of products tell nothing of what follows.
 */
function variantsShop(seed: number) {
  const random = createRandom(seed);
  const offsets = [0];
  const items: number[] = [];
  for (let user = 0; user < USERS; user++) {
    const group = random.int(GROUPS);
    const start = random.int(SLOTS);
    const length = 5 + random.int(5);
    for (let e = 0; e < length; e++) {
      const product = group * SLOTS + ((start + e) % SLOTS);
      items.push(1 + product * VARIANTS + random.int(VARIANTS));
    }
    offsets.push(items.length);
  }
  const features = new Float32Array(ITEMS * FEATURE_WIDTH);
  for (let product = 0; product < GROUPS * SLOTS; product++) {
    const centre = Array.from({ length: FEATURE_WIDTH }, () => random.normal());
    for (let v = 0; v < VARIANTS; v++) {
      const row = centre.map((value) => value + 0.2 * random.normal());
      const length = Math.hypot(...row);
      features.set(
        row.map((value) => value / length),
        (product * VARIANTS + v) * FEATURE_WIDTH,
      );
    }
  }
  const dataset = {
    itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i + 1}`),
    offsets: Int32Array.from(offsets),
    items: Int32Array.from(items),
    times: null,
  };
  return { dataset, features };
}

beforeAll(() => selectBackend({ force: 'wasm' }));

describe('items taken out of training', () => {
  it('reach 1.2 times the NDCG@10 of features alone at every size, and others lose at most 1 %', async () => {
    const { dataset, features } = variantsShop(1);
    const whole = splitLeaveOneOut(dataset);
    const cold = withoutItems(whole, ITEMS, SHARE, SEED);
    const own = rowsOf(features, cold.warm, FEATURE_WIDTH);
    const config = {
      ...{ sizes: SIZES, blocks: 1, featureWidth: FEATURE_WIDTH, numItems: cold.warm.length },
      ...{ ...modelSwitches('fast'), useBias: true },
    };
    const preset = createSettings('fast', SIZES, { maxEpochs: 10, learningRate: 0.01 });
    // A twentieth of so few items would be nine: too few to tell what others lose.
    const settings = { ...preset, coldItems: { ...preset.coldItems, heldOutShare: 0.3 } };
    const train = { config, settings, split: cold.split, features: own, seed: SEED };
    const trained = await trainModel(train);
    const { parameters, coldItems, likeness, choice, learned } = await learnColdItems({
      ...{ ...train, parameters: trained.parameters, spec: SPEC },
    });
    expect(learned).toBeUndefined();
    expect(choice!.measured).not.toBeNull();
    const model = { ...{ config, parameters, spec: SPEC, features }, coldItems, likeness };
    const isCold = new Set(cold.cold);
    const ndcg = async (strength: number, wanted: (target: number) => boolean) => {
      const vectors = await allVectors(model, cold, strength);
      const of = (cases: EvaluationCases) => ndcgAmong(vectors, model, chosen(cases, wanted));
      const [validation, test] = [of(whole.cases('validation')), of(whole.cases('test'))];
      return validation.map((value, k) => (value + test[k]!) / 2);
    };
    const figures = {
      filled: await ndcg(coldItems!.strength, (target) => isCold.has(target)),
      bare: await ndcg(0, (target) => isCold.has(target)),
      warmFilled: await ndcg(coldItems!.strength, (target) => !isCold.has(target)),
      warmBare: await ndcg(0, (target) => !isCold.has(target)),
    };
    SIZES.forEach((size, k) => {
      const told = `${size}: ${JSON.stringify({ ...figures, strength: coldItems!.strength })}`;
      expect(figures.filled[k]! / figures.bare[k]!, told).toBeGreaterThanOrEqual(1.2);
      expect(figures.warmFilled[k]! / figures.warmBare[k]!, told).toBeGreaterThanOrEqual(0.99);
    });
  });
});
