/** The property that everything rests on (model.md, section 3): a slice of the weights is the smaller model. */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import type { NamedArray } from '@nestrec/contracts';
import {
  createSegmentMatrices,
  disposeTensors,
  nestedMask,
  selectBackend,
  type SegmentMatrices,
} from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { packed, smallModel, type SmallModel } from '../../../tests/helpers/small-model.js';
import { blockForward } from './block.js';
import { createModel } from './index.js';
import { sliceParameters } from '@nestrec/parameters';
import { nestedShape, packArrays } from '@nestrec/parameters';
import { blockTensors } from './packed-tensors.js';

const LENGTHS = [5, 3, 3, 1];

beforeAll(async () => {
  await selectBackend({ force: 'wasm' });
});

/** z of every row, rows x D, of the model cut to `size` and to its first `blocks` blocks. */
function states(small: SmallModel, size: number, blocks?: number): Float32Array {
  const { config, parameters } = sliceParameters(small.config, small.parameters, size, blocks);
  const model = createModel(config, small.features);
  const variables = model.createParameters(parameters);
  const table = model.itemTable(variables);
  const z = model.forward(variables, table, packed(small.sequences));
  const data = z.dataSync() as Float32Array;
  z.dispose();
  table.dispose();
  disposeTensors(variables);
  model.dispose();
  return data;
}

/** max|slice - prefix| / max|prefix| over rows. */
function gap(slice: Float32Array, full: Float32Array, size: number, width: number): number {
  let [difference, largest] = [0, 0];
  for (let i = 0; i < slice.length; i++) {
    const want = full[Math.floor(i / size) * width + (i % size)]!;
    difference = Math.max(difference, Math.abs(slice[i]! - want));
    largest = Math.max(largest, Math.abs(want));
  }
  return difference / largest;
}

const ladders = fc
  .uniqueArray(fc.integer({ min: 2, max: 24 }), { minLength: 2, maxLength: 5 })
  .map((sizes) => sizes.sort((a, b) => a - b));

describe.each([1, 2])('a model of %i block(s)', (blocks) => {
  it('cut to any of its sizes gives the first coordinates of the full one, at every position', () => {
    fc.assert(
      fc.property(ladders, fc.integer({ max: 1_000 }), (sizes, seed) => {
        const small = smallModel({ sizes, blocks }, LENGTHS, seed);
        const width = sizes.at(-1)!;
        const full = states(small, width);
        for (const size of sizes) {
          expect(gap(states(small, size), full, size, width)).toBeLessThan(1e-5);
        }
      }),
      { numRuns: 8 },
    );
  });

  it('has the same prefix property where products run in groups of segments', () => {
    const small = smallModel({ sizes: [8, 200, 270, 300], blocks }, [3, 2], 5);
    const full = states(small, 300);
    for (const size of [8, 200, 270]) {
      expect(gap(states(small, size), full, size, 300)).toBeLessThan(1e-5);
    }
  });

  it('has a loss at size m whose gradient is exactly 0 outside the slice', () => {
    const sizes = [3, 6, 10];
    const small = smallModel({ sizes, blocks }, LENGTHS, 7);
    const model = createModel(small.config, small.features);
    const variables = model.createParameters(small.parameters);
    sizes.forEach((size, k) => {
      const { gradients } = model.lossAndGradients(variables, packed(small.sequences), {
        lossWeights: sizes.map((_, i) => (i === k ? 1 : 0)),
      });
      const stored = model.exportParameters(gradients);
      disposeTensors(gradients);
      const inside = sliceParameters(small.config, stored, size).parameters;
      let nonZero = 0;
      for (const [name, { data }] of stored) {
        const kept = inside.get(name)?.data ?? new Float32Array(0);
        const count = (values: Float32Array) => values.filter((value) => value !== 0).length;
        expect(count(data), `${name} at size ${size}`).toBe(count(kept));
        nonZero += count(data);
      }
      expect(nonZero).toBeGreaterThan(0);
    });
    disposeTensors(variables);
    model.dispose();
  });
});

/** Last activations of the blocks alone, cut to `size`, with norms over the segments that `norms` gives. */
function withNorms(
  small: SmallModel,
  size: number,
  norms: (sizes: readonly number[]) => SegmentMatrices,
) {
  const { config, parameters } = sliceParameters(small.config, small.parameters, size);
  const matrices = norms(config.sizes);
  const rows = packed(small.sequences);
  const data = tf.tidy(() => {
    const tensors = new Map(
      [...packArrays(config, parameters)].map(
        ([name, { shape, data: values }]: [string, NamedArray]) => {
          return [name, tf.tensor(values, [...shape])] as const;
        },
      ),
    );
    const constants = {
      sizes: config.sizes,
      matrices,
      masks: {
        real: nestedMask({ sizes: config.sizes, outParts: 1, inParts: 1 }),
        input: nestedMask(nestedShape(config.sizes, 'lru_layer.in_proj')),
        output: nestedMask(nestedShape(config.sizes, 'lru_layer.out_proj')),
      },
    } as const;
    const layout = { ...rows, silent: new Uint8Array(rows.rows) };
    // Any input will do that is itself nested: coordinate d of row r.
    let x = tf.tidy(() =>
      tf.tensor2d(
        Float32Array.from({ length: rows.rows * size }, (_, i) => {
          return Math.sin(1 + Math.floor(i / size) * 3 + (i % size));
        }),
        [rows.rows, size],
      ),
    );
    const masks = { recurrence: null, inner: null, output: null };
    for (let block = 0; block < config.blocks; block++) {
      x = blockForward(x, blockTensors(tensors, block), layout, masks, constants).output;
    }
    return x.dataSync() as Float32Array;
  });
  matrices.dispose();
  return data;
}

describe('an early exit of a model of three blocks', () => {
  it('gives at the end of every history what the slice of so many blocks gives, at every size', () => {
    fc.assert(
      fc.property(ladders, fc.integer({ max: 1_000 }), (sizes, seed) => {
        const small = smallModel({ sizes, blocks: 3 }, LENGTHS, seed);
        const width = sizes.at(-1)!;
        const rows = packed(small.sequences);
        const model = createModel(small.config, small.features);
        const variables = model.createParameters(small.parameters);
        const table = model.itemTable(variables);
        const lastRows = Int32Array.from({ length: rows.rows }, (_, row) => row);
        for (const blocks of [1, 2, 3]) {
          const exit = model.lastStates(variables, table, { ...rows, lastRows }, blocks);
          for (const size of sizes) {
            expect(gap(states(small, size, blocks), exit, size, width)).toBeLessThan(1e-5);
          }
        }
        table.dispose();
        disposeTensors(variables);
        model.dispose();
      }),
      { numRuns: 4 },
    );
  });

  it('is a slice that keeps the exits before it, cut to its size', () => {
    const exits = [
      { blocks: 1, dim: 4 },
      { blocks: 2, dim: 8 },
    ];
    const { config, parameters } = smallModel({ sizes: [2, 4, 8], blocks: 3, exits }, LENGTHS, 1);
    const cut = (size: number, blocks?: number) =>
      sliceParameters(config, parameters, size, blocks).config;
    expect(cut(8, 2)).toEqual({ ...config, blocks: 2, exits: [{ blocks: 1, dim: 4 }] });
    expect(cut(2)).toMatchObject({
      blocks: 3,
      exits: [
        { blocks: 1, dim: 2 },
        { blocks: 2, dim: 2 },
      ],
    });
    expect(cut(4, 1)).not.toHaveProperty('exits');
    expect(() => cut(4, 4)).toThrow(/got 4 blocks; the model has 3/);
  });
});

describe('negative control', () => {
  it('a norm over the full width breaks the prefix property, a norm by segment keeps it', () => {
    const small = smallModel({ sizes: [4, 8, 16] }, LENGTHS, 3);
    const compare = (norms: (sizes: readonly number[]) => SegmentMatrices) =>
      gap(withNorms(small, 8, norms), withNorms(small, 16, norms), 8, 16);
    expect(compare(createSegmentMatrices)).toBeLessThan(1e-5);
    expect(compare((sizes) => createSegmentMatrices([sizes.at(-1)!]))).toBeGreaterThan(0.01);
  });
});
