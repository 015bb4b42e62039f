import { beforeAll, describe, expect, it } from 'vitest';
import { Histories } from '@nestrec/dataset';
import { createModel, createSampledModel, type ItemSample } from '@nestrec/model';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { disposeTensors, selectBackend } from '@nestrec/tensor';
import { packed, smallModel } from '../../../tests/helpers/small-model.js';
import { createNegativeSampler } from './negative-sampling.js';

const ITEMS = 60;
/** Item i was taken about 60 / i times; the last twenty never. */
const train = (() => {
  const items = Array.from({ length: ITEMS - 20 }, (_, i) =>
    new Array<number>(Math.ceil(60 / (i + 1))).fill(i + 1),
  ).flat();
  const offsets = Int32Array.of(0, items.length);
  return Histories.of({ offsets, items: Int32Array.from(items) });
})();
const batch = { inputs: Int32Array.of(0, 7, 0, 60), targets: Int32Array.of(7, 2, 60, 31) };
const OWN = [2, 7, 31, 60];

function sampler(uniformNegatives: number, popularityNegatives: number) {
  const options = { numItems: ITEMS, train, uniformNegatives, popularityNegatives };
  return createNegativeSampler(options);
}

describe('negative sampling', () => {
  it("has the batch's items for certain, every candidate once, ascending", () => {
    const { sample } = sampler(10, 10);
    const random = createRandom(1);
    for (let i = 0; i < 50; i++) {
      const { items, bias } = sample(batch, random);
      expect([...items]).toEqual([...new Set(items)].sort((a, b) => a - b));
      expect(items.every((item) => item >= 1 && item <= ITEMS)).toBe(true);
      for (const item of OWN) expect(bias[items.indexOf(item)]).toBe(0);
      items.forEach((item, at) => {
        if (!OWN.includes(item)) expect(bias[at]).toBeGreaterThan(0);
      });
    }
  });

  it.each([
    [12, 0],
    [1, 15],
    [8, 10],
  ])('draws each item as often as it says: %i uniform, %i by popularity', (uniform, popular) => {
    const { sample } = sampler(uniform, popular);
    const random = createRandom(2);
    const draws = 20_000;
    const hits = new Float64Array(ITEMS + 1);
    const told = new Float64Array(ITEMS + 1);
    for (let i = 0; i < draws; i++) {
      const { items, bias } = sample(batch, random);
      items.forEach((item, at) => {
        hits[item]!++;
        told[item] = Math.exp(-bias[at]!);
      });
    }
    for (let item = 1; item <= ITEMS; item++) {
      const probability = told[item]!;
      // Five standard deviations: one false alarm in ten thousand runs of sixty items.
      const margin = 5 * Math.sqrt((probability * (1 - probability)) / draws);
      expect(Math.abs(hits[item]! / draws - probability)).toBeLessThanOrEqual(margin + 1e-6);
    }
    if (popular > 0) expect(told[1]).toBeGreaterThan(1.5 * told[40]!);
  });

  it('draws the same from the same stream, whatever it drew before', () => {
    const one = sampler(10, 10);
    const other = sampler(10, 10);
    one.sample(batch, createRandom(5));
    const plain = ({ items, bias }: ItemSample) => [[...items], [...bias]];
    const wanted = plain(other.sample(batch, createRandom(6)));
    expect(plain(one.sample(batch, createRandom(6)))).toEqual(wanted);
    expect(plain(one.sample(batch, createRandom(7)))).not.toEqual(wanted);
  });

  it('takes every item where as many are to be drawn', () => {
    const { items, bias } = sampler(ITEMS, 10).sample(batch, createRandom(1));
    expect(items).toHaveLength(ITEMS);
    expect(bias.every((value) => value === 0)).toBe(true);
  });
});

describe('gradients against samples', () => {
  beforeAll(async () => {
    await selectBackend({ force: 'cpu' });
  });

  const WIDTH = 8;
  /** Items that the batch does not have: often taken, and never. */
  const GROUPS = [[1, 3, 4, 5, 6, 8], Array.from({ length: 19 }, (_, i) => 41 + i)];
  const small = smallModel({ sizes: [4, WIDTH], numItems: ITEMS }, [1], 4);
  const rows = packed([
    { inputs: [0, 7], targets: [7, 2] },
    { inputs: [0, 60], targets: [60, 31] },
  ]);

  /** Sums over the items of each group of the gradient by R, whose rows belong to `items`. */
  function groupSums(items: Int32Array, residual: { dataSync(): unknown }): number[][] {
    const numbers = residual.dataSync() as Float32Array;
    return GROUPS.map((group) => {
      const sums = new Array<number>(WIDTH).fill(0);
      items.forEach((item, i) => {
        if (!group.includes(item)) return;
        for (let d = 0; d < WIDTH; d++) sums[d]! += numbers[i * WIDTH + d]!;
      });
      return sums;
    });
  }

  function ofTheFullSoftmax(): number[][] {
    const model = createModel(small.config, small.features);
    const parameters = model.createParameters(small.parameters);
    const { gradients } = model.lossAndGradients(parameters, rows);
    const items = Int32Array.from({ length: ITEMS }, (_, i) => i + 1);
    const sums = groupSums(items, gradients.get(ITEM_RESIDUAL)!);
    disposeTensors(gradients);
    disposeTensors(parameters);
    model.dispose();
    return sums;
  }

  it('are on average those of the full softmax with the correction, and are not without it', () => {
    const residual = small.parameters.get(ITEM_RESIDUAL)!.data;
    const store = { features: small.features, featureMap: null, residual };
    const model = createSampledModel(small.config, store);
    const parameters = model.createParameters(small.parameters);
    const { sample } = sampler(15, 15);
    const average = (bias: (drawn: ItemSample) => Float32Array) => {
      const random = createRandom(8);
      const draws = 300;
      const total = GROUPS.map(() => new Array<number>(WIDTH).fill(0));
      for (let i = 0; i < draws; i++) {
        const drawn = sample(batch, random);
        const result = model.lossAndGradients(parameters, rows, {
          items: drawn.items,
          bias: bias(drawn),
        });
        groupSums(drawn.items, result.residual!).forEach((sums, g) =>
          sums.forEach((sum, d) => (total[g]![d]! += sum / draws)),
        );
        disposeTensors(result.gradients);
        result.residual!.dispose();
      }
      return total;
    };
    const wanted = ofTheFullSoftmax();
    const distances = (got: number[][]) =>
      got.map((sums, g) => {
        const difference = sums.map((sum, d) => sum - wanted[g]![d]!);
        return Math.hypot(...difference) / Math.hypot(...wanted[g]!);
      });
    const corrected = distances(average(({ bias }) => bias));
    const plain = distances(average(({ items }) => new Float32Array(items.length)));
    disposeTensors(parameters);
    model.dispose();
    // Means of 300 draws: what is left is chance, 1 to 2 %, and the bias of a ratio of sums.
    expect(Math.max(...corrected)).toBeLessThan(0.05);
    expect(Math.min(...plain)).toBeGreaterThan(0.2);
  });
});
