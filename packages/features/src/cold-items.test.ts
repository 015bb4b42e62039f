import type { FeatureSpec } from '@nestrec/contracts';
import { describe, expect, it } from 'vitest';
import { createColdFill } from './cold-items.js';

const SPEC: FeatureSpec = {
  modalities: [{ name: 'text', width: 2, kind: 'vector', normalisation: 'l2' }],
  missingIndicators: true,
};
/** Likeness to (1, 0): 1, .8, 0, -1; the last has no text. */
const FEATURES = Float32Array.of(1, 0, 0, 0.8, 0.6, 0, 0, 1, 0, -1, 0, 0, 0, 0, 1);
const RESIDUAL = Float32Array.of(1, 2, 3, 5, 6, 7, 9, 9, 9, 8, 8, 8, 4, 4, 4);
const ASKED = Float32Array.of(1, 0, 0);
const HOW = { strength: 1.5, neighbours: 2, temperature: 0.2, threshold: -100 };
const LIKENESS = {
  metric: Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 0),
  scales: Float32Array.of(1, 1, 1, 1, 0),
};

const fillOf = (residual: Float32Array, width: number, rows: number[], how = HOW) =>
  createColdFill(
    { ...{ features: FEATURES, spec: SPEC, likeness: LIKENESS }, residual, width, rows },
    how,
  );

describe('the residual of an item that was not learned', () => {
  it('is the strength times the mean of its likest learned items, weighted by softmax of likeness', async () => {
    const fill = (await fillOf(RESIDUAL, 3, [0, 1, 2, 3, 4])).residualOf(ASKED)!;
    const weight = 1 / (1 + Math.exp(-1));
    [1, 2, 3].forEach((first, d) => {
      const second = [5, 6, 7][d]!;
      expect(fill[d]).toBeCloseTo(1.5 * (weight * first + (1 - weight) * second), 5);
    });
  });

  it('is the less, the less its likest items are like it, by a neighbour of likeness threshold without residual', async () => {
    const how = { ...HOW, neighbours: 1, threshold: 0.8 };
    const near = (await fillOf(RESIDUAL, 3, [0], how)).residualOf(ASKED)!;
    const far = (await fillOf(RESIDUAL, 3, [2], how)).residualOf(ASKED)!;
    const share = (likeness: number) => 1 / (1 + Math.exp((0.8 - likeness) / 0.2));
    expect(near[1]).toBeCloseTo(1.5 * share(1) * 2, 5);
    expect(far[1]).toBeCloseTo(1.5 * share(0) * 9, 5);
  });

  it('comes from learned items alone', async () => {
    const fill = (await fillOf(RESIDUAL, 3, [3])).residualOf(ASKED)!;
    expect([...fill]).toEqual([12, 12, 12]);
  });

  it('is none where nothing is like it, and where nothing is to be filled', async () => {
    expect((await fillOf(RESIDUAL, 3, [4])).residualOf(ASKED)).toBeNull();
    expect((await fillOf(RESIDUAL, 3, [0])).residualOf(Float32Array.of(0, 0, 1))).toBeNull();
    const none = { ...HOW, strength: 0 };
    expect((await fillOf(RESIDUAL, 3, [0], none)).residualOf(ASKED)).toBeNull();
  });

  it('of a model cut to fewer coordinates is the beginning of that of the whole, to the bit', async () => {
    const cut = RESIDUAL.filter((_, at) => at % 3 < 2);
    const whole = (await fillOf(RESIDUAL, 3, [0, 1, 2])).residualOf(ASKED)!;
    const small = (await fillOf(cut, 2, [0, 1, 2])).residualOf(ASKED)!;
    expect([...small]).toEqual([...whole.subarray(0, 2)]);
  });
});
