import type { FeatureSpec, ModelConfig, NamedArray } from '@nestrec/contracts';
import { splitLeaveOneOut } from '@nestrec/dataset';
import { createColdFill } from '@nestrec/features';
import { initParameters, ITEM_RESIDUAL } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { createSettings } from '../settings.js';
import { fitLikeness } from './fit-likeness.js';
import { leanRareItems } from './lean-rare-items.js';

const [USERS, WIDTH, FEATURES] = [400, 8, 6];
/** Items 1 to 10 are taken often; 11 to 20 once each, and each of them looks like the one ten before it. */
const [OFTEN, ITEMS] = [10, 20];
const SPEC: FeatureSpec = {
  modalities: [{ name: 'text', width: FEATURES, kind: 'vector', normalisation: 'l2' }],
  missingIndicators: false,
};
const CONFIG: ModelConfig = {
  ...{ sizes: [4, 8], blocks: 1, featureWidth: FEATURES, numItems: ITEMS, useBias: true },
  ...{ itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
};
const settings = (rareBelow = 2) => {
  const preset = createSettings('fast', CONFIG.sizes);
  return { ...preset, coldItems: { ...preset.coldItems, rareBelow } };
};
const random = createRandom(4);
const features = new Float32Array(ITEMS * FEATURES);
for (let at = 0; at < OFTEN * FEATURES; at++) {
  features[at] = random.normal();
  features[OFTEN * FEATURES + at] = features[at]! + 0.01 * random.normal();
}

/** What a user takes is followed by itself, and rarely by its twin: only the twin's vector could tell. */
const split = splitLeaveOneOut({
  ...{ itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i}`), times: null },
  offsets: Int32Array.from({ length: USERS + 1 }, (_, u) => 5 * u),
  items: Int32Array.from({ length: 5 * USERS }, (_, e) => {
    const [user, place] = [Math.floor(e / 5), e % 5];
    const item = 1 + (user % OFTEN);
    if (place === 3) return item + OFTEN;
    return place === 0 && user < OFTEN ? item + OFTEN : item;
  }),
});

/** Rows of R: the often taken ones point their own way, the rare ones anywhere. */
const parameters = new Map<string, NamedArray>(initParameters(CONFIG, random));
for (const [name, { data }] of parameters) if (/projector|out_proj|w_2/.test(name)) data.fill(0);
const residual = Float32Array.from({ length: ITEMS * WIDTH }, () => random.normal());
parameters.set(ITEM_RESIDUAL, { shape: [ITEMS, WIDTH], data: residual });
const input = () => ({
  ...{ config: CONFIG, settings: settings(), parameters, features, spec: SPEC, split, seed: 1 },
});
const rowOf = (data: Float32Array, row: number) => data.subarray(row * WIDTH, (row + 1) * WIDTH);

beforeAll(() => selectBackend({ force: 'cpu' }));

describe('items with few training events', () => {
  it('lean on the often taken items most like them by as much as serves validation best', () => {
    const { parameters: leaned, choice } = leanRareItems(input());
    expect(choice).toMatchObject({ items: ITEMS - OFTEN, cases: USERS });
    expect(choice!.worth).toBeGreaterThan(0);
    const { trained, chosen } = choice!.measured!;
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    expect(sum(chosen)).toBeGreaterThan(sum(trained));
    const { data } = leaned.get(ITEM_RESIDUAL)!;
    expect(data.subarray(0, OFTEN * WIDTH)).toEqual(residual.subarray(0, OFTEN * WIDTH));
  });

  it('lean on what a cold item would be filled from, n events to the worth of likeness', async () => {
    const { parameters: leaned, choice } = leanRareItems(input());
    const { data } = leaned.get(ITEM_RESIDUAL)!;
    const likeness = fitLikeness(features, FEATURES, SPEC);
    const rows = Array.from({ length: OFTEN }, (_, row) => row);
    const { neighbours, temperature } = settings().coldItems;
    const fill = await createColdFill(
      { features, spec: SPEC, likeness, rows, residual, width: WIDTH },
      { strength: 1, threshold: -1, neighbours, temperature },
    );
    const own = 1 / (1 + choice!.worth);
    for (let row = OFTEN; row < ITEMS; row++) {
      const feature = features.subarray(row * FEATURES, (row + 1) * FEATURES);
      const like = fill.residualOf(feature)!;
      rowOf(data, row).forEach((value, d) => {
        const wanted = own * residual[row * WIDTH + d]! + (1 - own) * like[d]!;
        expect(value).toBeCloseTo(wanted, 4);
      });
    }
  });

  it('keep what they learned before, or where nothing may lean, or too few events could tell', () => {
    const kept = leanRareItems({ ...input(), learnedBefore: (row) => row >= OFTEN });
    expect(kept).toEqual({ parameters });
    expect(leanRareItems({ ...input(), settings: settings(0) })).toEqual({ parameters });
    const few = splitLeaveOneOut({
      ...{ itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i}`), times: null },
      offsets: Int32Array.of(0, 4, 8),
      items: Int32Array.of(1, 1, 1, 2, 1, 11, 1, 2),
    });
    const untried = leanRareItems({ ...input(), split: few });
    expect(untried.parameters).toBe(parameters);
    expect(untried.choice).toEqual({ worth: 0, items: 1, cases: 2, measured: null });
  });

  it('stay as they are where leaning ranks no better', () => {
    // What looks alike here is the next one's twin: likeness is wrong everywhere.
    const shifted = features.slice();
    shifted.copyWithin(OFTEN * FEATURES, FEATURES, OFTEN * FEATURES);
    shifted.set(features.subarray(0, FEATURES), (ITEMS - 1) * FEATURES);
    const known = residual.slice();
    known.copyWithin(OFTEN * WIDTH, 0, OFTEN * WIDTH);
    const own = new Map(parameters).set(ITEM_RESIDUAL, { shape: [ITEMS, WIDTH], data: known });
    const { parameters: result, choice } = leanRareItems({
      ...{ ...input(), parameters: own, features: shifted },
    });
    expect(choice!.worth).toBe(0);
    expect(result).toBe(own);
  });
});
