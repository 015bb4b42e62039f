import { Histories } from '@nestrec/dataset';
import type { ModelConfig } from '@nestrec/contracts';
import { ITEM_RESIDUAL, PROJECTOR_BIAS, PROJECTOR_WEIGHT } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { multiply, selectBackend } from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../../tests/helpers/backends.js';
import { leadingEigenvectors } from '../leading-eigenvectors.js';
import { createSettings } from '../settings.js';
import { drawParameters } from './draw-parameters.js';
import { positivePmi } from './positive-pmi.js';
import { spectralStart, type SpectralStartInput } from './spectral-start.js';
import { leadingPairs } from './subspace-iteration.js';

const historiesOf = (...rows: number[][]): Histories => {
  const offsets = Int32Array.of(0, ...rows.map(() => 0));
  rows.forEach((row, i) => (offsets[i + 1] = offsets[i]! + row.length));
  return Histories.of({ offsets, items: Int32Array.from(rows.flat()) });
};

/** `groups` of `each` items; users stay within one of them. */
function grouped(groups: number, each: number, users: number, seed = 1): Histories {
  const random = createRandom(seed);
  return historiesOf(
    ...Array.from({ length: users }, (_, user) =>
      Array.from({ length: 6 }, () => 1 + (user % groups) * each + random.int(each)),
    ),
  );
}

describe('positive PMI', () => {
  it('is what a hand computes, near pairs counting more', () => {
    // Pairs: 1-2 once and 2-3 once beside each other, 1-3 two steps apart (1/2); each both ways round.
    const { offsets, columns, weights } = positivePmi(historiesOf([1, 2, 3]), 3);
    const total = 5;
    const sums = [1.5, 2, 1.5];
    const contexts = sums.map((sum) => sum ** 0.75);
    const contextTotal = contexts.reduce((a, b) => a + b);
    const log = (i: number) =>
      (Math.log(sums[i]! / total) + Math.log(contexts[i]! / contextTotal)) / 2;
    const row = (item: number) =>
      new Map(
        Array.from(columns.subarray(offsets[item], offsets[item + 1]), (other, at) => [
          other,
          weights[offsets[item]! + at]!,
        ]),
      );
    expect(row(1).get(2)).toBeCloseTo(Math.log(1 / total) - log(0) - log(1), 5);
    expect(row(2).get(1)).toBeCloseTo(row(1).get(2)!, 6);
    expect(row(1).get(3)).toBeCloseTo(Math.log(0.5 / total) - 2 * log(0), 5);
  });

  it('is 0 where a pair is rarer than its items would make it', () => {
    const own = [1, 2, 3].flatMap(() => [
      [1, 2],
      [3, 4],
    ]);
    const { offsets, columns, weights } = positivePmi(historiesOf(...own, [1, 3]), 4);
    const at = offsets[1]! + columns.subarray(offsets[1], offsets[2]).indexOf(3);
    expect(weights[at]).toBe(0);
    expect(weights[offsets[2]!]).toBeGreaterThan(0.5);
  });
});

describe.each(suiteBackends)('spectral start on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it('finds the leading eigenpairs of a matrix, as a dense solver does', () => {
    const n = 60;
    const random = createRandom(5);
    const factor = Float32Array.from(
      { length: n * 20 },
      (_, at) => random.normal() / (1 + (at % 20)),
    );
    const matrix = new Float32Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++)
        for (let k = 0; k < 20; k++)
          matrix[i * n + j]! += factor[i * 20 + k]! * factor[j * 20 + k]!;
    const operator = {
      size: n,
      apply: (block: Float32Array, columns: number) => multiply(matrix, block, [n, n, columns]),
    };
    const found = leadingPairs(operator, 8, 6, createRandom(1));
    const wanted = leadingEigenvectors((i, j) => matrix[i * n + j]!, n, 8);
    for (let k = 0; k < 8; k++) {
      expect(found.values[k]! / wanted.values[k]!).toBeCloseTo(1, 4);
      let cosine = 0;
      for (let i = 0; i < n; i++) cosine += found.vectors[i * 8 + k]! * wanted.vectors[k * n + i]!;
      expect(Math.abs(cosine)).toBeCloseTo(1, 3);
    }
  });

  const input = (changes: Partial<SpectralStartInput> = {}): SpectralStartInput => ({
    ...{ histories: grouped(4, 10, 400), numItems: 40, width: 16 },
    ...{ features: new Float32Array(0), featureWidth: 0, featureWeight: 0.5 },
    ...{ deviation: 0.1, random: createRandom(3) },
    ...changes,
  });
  /** Item vectors of a start: P f + p + R. */
  const vectorsOf = (start: ReturnType<typeof spectralStart>, from: SpectralStartInput) => {
    const { width, features, featureWidth } = from;
    return start.residual.map((value, at) => {
      const [row, d] = [Math.floor(at / width), at % width];
      let sum = value + start.bias[d]!;
      for (let f = 0; f < featureWidth; f++)
        sum += start.projector[d * featureWidth + f]! * features[row * featureWidth + f]!;
      return sum;
    });
  };
  const dot = (vectors: Float32Array, width: number, i: number, j: number, dims: number) => {
    let sum = 0;
    for (let d = 0; d < dims; d++) sum += vectors[i * width + d]! * vectors[j * width + d]!;
    return sum;
  };

  it('has items that are taken together alike, in few coordinates already', () => {
    const from = input();
    const vectors = vectorsOf(spectralStart(from), from);
    for (let i = 0; i < 40; i++) {
      const likeness = Array.from({ length: 40 }, (_, j) => ({ j, s: dot(vectors, 16, i, j, 4) }));
      const nearest = likeness.sort((a, b) => b.s - a.s).slice(0, 10);
      const own = nearest.filter(({ j }) => Math.floor(j / 10) === Math.floor(i / 10));
      expect(own.length).toBe(10);
    }
  });

  it('makes a pair that is seen with nothing else no longer than the others', () => {
    const histories = historiesOf(...[...grouped(2, 8, 60)].map((own) => [...own]), [17, 18]);
    const from = input({ histories, numItems: 18, width: 8, deviation: 0 });
    const vectors = vectorsOf(spectralStart(from), from);
    const squares = Array.from({ length: 18 }, (_, i) => dot(vectors, 8, i, i, 8));
    expect(Math.max(...squares) / Math.min(...squares)).toBeLessThan(1.001);
  });

  it('knows an item that nobody took by its features', () => {
    // Item 40 is in no history; its features are those of the last group.
    const features = new Float32Array(40 * 4);
    for (let i = 0; i < 40; i++) features[i * 4 + Math.floor(i / 10)] = 1;
    const random = createRandom(1);
    const taken = historiesOf(
      ...Array.from({ length: 400 }, (_, user) =>
        Array.from({ length: 6 }, () => Math.min(39, 1 + (user % 4) * 10 + random.int(10))),
      ),
    );
    const from = input({ histories: taken, features, featureWidth: 4, deviation: 0 });
    const vectors = vectorsOf(spectralStart(from), from);
    expect(dot(vectors, 16, 39, 35, 16)).toBeGreaterThan(4 * Math.abs(dot(vectors, 16, 39, 5, 16)));
  });

  it('has numbers in every coordinate, also of more than there are items', () => {
    const from = input({ histories: historiesOf([1, 2, 3], [2, 3, 1]), numItems: 3, width: 8 });
    const { residual, bias } = spectralStart(from);
    for (let d = 0; d < 8; d++) {
      const column = [0, 1, 2].map((i) => residual[i * 8 + d]! + bias[d]!);
      expect(column.every(Number.isFinite)).toBe(true);
      expect(Math.max(...column.map(Math.abs))).toBeGreaterThan(1e-4);
    }
  });

  it('starts a model whose blocks hand their input on, the same by the same seed', () => {
    const config: ModelConfig = {
      ...{ sizes: [4, 16], blocks: 2, featureWidth: 3, numItems: 40 },
      ...{ useBias: true, itemResidual: true, scoreScale: true, rMin: 0, rMax: 0.5 },
    };
    const draw = (seed: number) =>
      drawParameters(config, {
        settings: createSettings('quality', config.sizes, { itemStart: 'spectral' }),
        ...{ random: createRandom(seed), histories: grouped(4, 10, 100) },
        features: Float32Array.from({ length: 120 }, (_, at) => Math.sin(at)),
      });
    const parameters = draw(7);
    for (const [name, { data }] of parameters) {
      const silent = /out_proj|w_2/.test(name);
      expect(
        data.every((value) => value === 0),
        name,
      ).toBe(
        silent ||
          (name.endsWith('.bias') && name.includes('norm')) ||
          name === 'head.log_score_scale',
      );
    }
    for (const name of [PROJECTOR_WEIGHT, PROJECTOR_BIAS, ITEM_RESIDUAL]) {
      expect(draw(7).get(name)).toEqual(parameters.get(name));
      expect(draw(8).get(name)).not.toEqual(parameters.get(name));
    }
  });
});
