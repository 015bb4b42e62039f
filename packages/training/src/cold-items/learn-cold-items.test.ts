import type { FeatureSpec, ModelConfig, NamedArray } from '@nestrec/contracts';
import { splitLeaveOneOut, type Split } from '@nestrec/dataset';
import { createColdFill } from '@nestrec/features';
import { initParameters, ITEM_RESIDUAL } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { createSettings, type TrainingSettings } from '../settings.js';
import { learnColdItems } from './learn-cold-items.js';

const [ITEMS, USERS, WIDTH, FEATURES] = [40, 1_000, 8, 6];
const SPEC: FeatureSpec = {
  modalities: [{ name: 'text', width: FEATURES, kind: 'vector', normalisation: 'l2' }],
  missingIndicators: false,
};
const CONFIG: ModelConfig = {
  ...{ sizes: [4, 8], blocks: 1, featureWidth: FEATURES, numItems: ITEMS, useBias: true },
  ...{ itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
};
const random = createRandom(4);
const features = Float32Array.from({ length: ITEMS * FEATURES }, () => random.normal());
const parameters = new Map<string, NamedArray>(initParameters(CONFIG, random));
parameters.set(ITEM_RESIDUAL, {
  shape: [ITEMS, WIDTH],
  data: Float32Array.from({ length: ITEMS * WIDTH }, () => random.normal()),
});
const residual = parameters.get(ITEM_RESIDUAL)!.data;
/** Nobody takes the last two items in training; one of them is everybody's last. */
const split = splitLeaveOneOut({
  ...{ itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i}`), times: null },
  offsets: Int32Array.from({ length: USERS + 1 }, (_, u) => 5 * u),
  items: Int32Array.from({ length: 5 * USERS }, (_, e) =>
    e % 5 === 4 ? ITEMS : 1 + random.int(ITEMS - 2),
  ),
});
/** More held out than the preset has, which would be two of so few items. */
const settings = (coldItems: Partial<TrainingSettings['coldItems']> = {}) => {
  const preset = createSettings('fast', CONFIG.sizes);
  return { ...preset, coldItems: { ...preset.coldItems, heldOutShare: 0.2, ...coldItems } };
};
const learn = (changes: Partial<Parameters<typeof learnColdItems>[0]> = {}) =>
  learnColdItems({
    ...{ config: CONFIG, settings: settings(), parameters, features, spec: SPEC },
    ...{ split: split satisfies Split, seed: 1 },
    ...changes,
  });
const rowsOf = (data: Float32Array, row: number) => [...data.subarray(row * 8, row * 8 + 8)];

beforeAll(() => selectBackend({ force: 'cpu' }));

describe('what a finished training says of items that it did not learn', () => {
  it('marks items without a training event, and fills their residuals as publishing would', async () => {
    const result = await learn();
    const learned = Array.from({ length: ITEMS }, (_, row) => row).slice(0, -2);
    expect([...result.learned!.entries()].filter(([, is]) => is === 0).map(([r]) => r)).toEqual([
      ITEMS - 2,
      ITEMS - 1,
    ]);
    const { data } = result.parameters.get(ITEM_RESIDUAL)!;
    const how = result.coldItems!;
    const items = {
      ...{ features, spec: SPEC, likeness: result.likeness! },
      ...{ residual, width: WIDTH, rows: learned },
    };
    const fill = await createColdFill(items, how);
    for (const row of [ITEMS - 2, ITEMS - 1]) {
      const feature = features.subarray(row * FEATURES, (row + 1) * FEATURES);
      const wanted = fill.residualOf(feature) ?? new Float32Array(WIDTH);
      expect(rowsOf(data, row)).toEqual([...wanted]);
    }
    for (const row of learned) expect(rowsOf(data, row)).toEqual(rowsOf(residual, row));
  });

  it('chooses the fill by events of items held out, the same for the same seed, at little cost to others', async () => {
    const { choice, coldItems } = await learn();
    expect(coldItems).toMatchObject({ strength: choice!.strength, threshold: choice!.threshold });
    expect(choice!.cases).toBeGreaterThanOrEqual(50);
    const { without, chosen } = choice!.measured!;
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    expect(sum(chosen.others)).toBeGreaterThanOrEqual(0.99 * sum(without.others));
    expect(sum(chosen.heldOut)).toBeGreaterThanOrEqual(sum(without.heldOut));
    expect((await learn()).choice).toEqual(choice);
  });

  it('keeps what was learned before: an item that nothing more is heard of is no new one', async () => {
    const { learned, parameters: filled } = await learn({
      learnedBefore: (row) => row === ITEMS - 2,
    });
    expect([learned![ITEMS - 2], learned![ITEMS - 1]]).toEqual([1, 0]);
    const { data } = filled.get(ITEM_RESIDUAL)!;
    expect(rowsOf(data, ITEMS - 2)).toEqual(rowsOf(residual, ITEMS - 2));
    expect((await learn({ learnedBefore: () => true })).learned).toBeUndefined();
  });

  it('takes the strength 1 where there are too few events to choose by', async () => {
    const { choice, coldItems } = await learn({ settings: settings({ heldOutShare: 0 }) });
    expect(coldItems).toMatchObject({ strength: 1, threshold: -1 });
    expect(choice).toEqual({ strength: 1, threshold: -1, cases: 0, measured: null });
  });

  it('says nothing for a model without residual or features, or where no neighbour is asked for', async () => {
    const bare = new Map(parameters);
    bare.delete(ITEM_RESIDUAL);
    const ofFeatures = { ...CONFIG, itemResidual: false };
    expect(await learn({ config: ofFeatures, parameters: bare })).toEqual({ parameters: bare });
    const none = new Float32Array(0);
    expect(await learn({ config: { ...CONFIG, featureWidth: 0 }, features: none })).toEqual({
      parameters,
    });
    expect(await learn({ settings: settings({ neighbours: 0 }) })).toEqual({ parameters });
  });
});
