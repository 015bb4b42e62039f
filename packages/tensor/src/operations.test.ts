import { segmentsOf } from '@nestrec/parameters';
/** The contract suite of the operations: every backend that loads here, random shapes, against plain double precision. */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { createRandom, type Random } from '@nestrec/random';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import { columnSums, segmentNorm, segmentNormBackward } from './segment-norm.js';
import {
  createSegmentMatrices,
  gatherRows,
  nestedLinear,
  nestedLinearBackward,
  nestedMask,
  scatterAddRows,
  segmentIndex,
  selectBackend,
  type NestedShape,
} from './index.js';

const TOLERANCE = 1e-5;

/** max|a - b| / max(1e-3, max|b|). */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let difference = 0;
  let largest = 1e-3;
  for (let i = 0; i < b.length; i++) {
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return difference / largest;
}

const normals = (random: Random, count: number) =>
  Float32Array.from({ length: count }, () => random.normal());

/** Row-major a [n, k] times b [k, m] in double precision; `transpose` takes b as [m, k]. */
function product(a: ArrayLike<number>, b: ArrayLike<number>, n: number, k: number, m: number) {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      for (let l = 0; l < k; l++) out[i * m + j]! += a[i * k + l]! * b[l * m + j]!;
    }
  }
  return out;
}

/** a [rows, columns] as [columns, rows]. */
function transposed(a: ArrayLike<number>, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, i) => {
    return a[(i % rows) * columns + Math.floor(i / rows)]!;
  });
}

/** Runs `body` and checks that it leaves no tensor behind. */
function withoutLeaks(body: () => void): void {
  const before = tf.memory().numTensors;
  tf.tidy(body);
  expect(tf.memory().numTensors).toBe(before);
}

const ladders = fc
  .uniqueArray(fc.integer({ min: 1, max: 13 }), { minLength: 1, maxLength: 4 })
  .map((sizes) => sizes.sort((a, b) => a - b));
/** Wide enough that the products are split into groups, and not powers of two. */
const WIDE_LADDER = [3, 100, 261, 290];

function checkNestedLinear(shape: NestedShape, rows: number, random: Random): void {
  const width = shape.sizes.at(-1)!;
  const [outputs, inputs] = [shape.outParts * width, shape.inParts * width];
  withoutLeaks(() => {
    const mask = nestedMask(shape);
    const maskValues = mask.dataSync();
    const weight = normals(random, outputs * inputs).map((w, i) => w * maskValues[i]!);
    const x = normals(random, rows * inputs);
    const bias = normals(random, outputs);
    const upstream = normals(random, rows * outputs);
    const [w, input] = [tf.tensor2d(weight, [outputs, inputs]), tf.tensor2d(x, [rows, inputs])];
    const y = nestedLinear(input, w, tf.tensor1d(bias), shape);
    const expected = product(x, transposed(weight, outputs, inputs), rows, inputs, outputs);
    expect(
      distance(
        y.dataSync(),
        expected.map((v, i) => v + bias[i % outputs]!),
      ),
    ).toBeLessThan(TOLERANCE);
    const dy = tf.tensor2d(upstream, [rows, outputs]);
    const gradients = nestedLinearBackward(dy, input, w, mask, shape);
    const dx = product(upstream, weight, rows, outputs, inputs);
    expect(distance(gradients.x.dataSync(), dx)).toBeLessThan(TOLERANCE);
    const full = product(transposed(upstream, rows, outputs), x, outputs, rows, inputs);
    const masked = full.map((v, i) => v * maskValues[i]!);
    const got = gradients.weight.dataSync();
    expect(distance(got, masked)).toBeLessThan(TOLERANCE);
    expect(got.every((v, i) => maskValues[i] === 1 || v === 0)).toBe(true);
    const ones = new Float64Array(rows).fill(1);
    expect(
      distance(gradients.bias.dataSync(), product(ones, upstream, 1, rows, outputs)),
    ).toBeLessThan(TOLERANCE);
  });
}

/** Segment norm of one row, in double precision. */
function normRow(x: Float64Array, sizes: readonly number[]): Float64Array {
  return Float64Array.from(
    segmentsOf(sizes).flatMap(({ begin, end, width }) => {
      const part = [...x.subarray(begin, end)];
      const mean = part.reduce((a, b) => a + b, 0) / width;
      const variance = part.reduce((a, b) => a + (b - mean) ** 2, 0) / width;
      return part.map((value) => (value - mean) / Math.sqrt(variance + 1e-5));
    }),
  );
}

describe.each(suiteBackends)('operations on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it('nested linear and its gradients equal dense products with a masked weight', () => {
    const shapes = fc.record({
      sizes: ladders,
      parts: fc.constantFrom([1, 1] as const, [2, 1] as const, [1, 2] as const),
      rows: fc.integer({ min: 1, max: 9 }),
      seed: fc.integer(),
    });
    fc.assert(
      fc.property(shapes, ({ sizes, parts: [outParts, inParts], rows, seed }) =>
        checkNestedLinear({ sizes, outParts, inParts }, rows, createRandom(seed)),
      ),
      { numRuns: 25 },
    );
  });

  it.each([
    [1, 1],
    [2, 1],
    [1, 2],
  ] as const)(
    'nested linear in groups (%i out, %i in parts) equals the dense one',
    (outParts, inParts) => {
      checkNestedLinear({ sizes: WIDE_LADDER, outParts, inParts }, 3, createRandom(5));
    },
  );

  it('segment norm and its gradients equal double precision', () => {
    fc.assert(
      fc.property(ladders, fc.integer({ min: 1, max: 6 }), fc.integer(), (sizes, rows, seed) => {
        const random = createRandom(seed);
        const width = sizes.at(-1)!;
        const [noise, upstream] = [normals(random, rows * width), normals(random, rows * width)];
        // Neighbours stand apart: the gradient of a segment of two nearly equal numbers is all rounding.
        const x = noise.map((value, i) => value / 4 + (i % 2 === 0 ? 1 : -1));
        const [gain, bias] = [normals(random, width), normals(random, width)];
        const matrices = createSegmentMatrices(sizes);
        withoutLeaks(() => {
          const forward = segmentNorm(
            tf.tensor2d(x, [rows, width]),
            tf.tensor1d(gain),
            tf.tensor1d(bias),
            matrices,
          );
          const normalised = new Float64Array(x.length);
          for (let r = 0; r < rows; r++) {
            const row = Float64Array.from(x.subarray(r * width, (r + 1) * width));
            normalised.set(normRow(row, sizes), r * width);
          }
          const expected = normalised.map((v, i) => v * gain[i % width]! + bias[i % width]!);
          expect(distance(forward.output.dataSync(), expected)).toBeLessThan(1e-4);
          const back = segmentNormBackward(
            tf.tensor2d(upstream, [rows, width]),
            forward,
            tf.tensor1d(gain),
            matrices,
          );
          checkNormGradient(back.x.dataSync(), { x, upstream, gain, sizes, rows });
          const dGain = new Float64Array(width);
          upstream.forEach((value, i) => (dGain[i % width]! += value * normalised[i]!));
          expect(distance(back.gain.dataSync(), dGain)).toBeLessThan(1e-4);
          const ones = new Float64Array(rows).fill(1);
          const dBias = product(ones, upstream, 1, rows, width);
          expect(distance(back.bias.dataSync(), dBias)).toBeLessThan(TOLERANCE);
        });
        matrices.dispose();
      }),
      { numRuns: 25 },
    );
  });

  it('gathering and scatter-adding rows are each other’s transpose, repeats and no rows included', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 12 }),
        fc.integer(),
        (rows, width, count, seed) => {
          const random = createRandom(seed);
          const table = normals(random, rows * width);
          const values = normals(random, count * width);
          const indices = Int32Array.from({ length: count }, () => random.int(rows));
          withoutLeaks(() => {
            const gathered = gatherRows(tf.tensor2d(table, [rows, width]), indices);
            expect(gathered.shape).toEqual([count, width]);
            const picked = [...indices].flatMap((i) => [
              ...table.subarray(i * width, (i + 1) * width),
            ]);
            expect([...gathered.dataSync()]).toEqual(picked);
            const sums = new Float64Array(rows * width);
            values.forEach(
              (v, j) => (sums[indices[Math.floor(j / width)]! * width + (j % width)]! += v),
            );
            const scattered = scatterAddRows(indices, tf.tensor2d(values, [count, width]), rows);
            expect(scattered.shape).toEqual([rows, width]);
            expect(distance(scattered.dataSync(), sums)).toBeLessThan(TOLERANCE);
          });
        },
      ),
      { numRuns: 25 },
    );
  });

  it('column sums of one and of many rows are right', () => {
    withoutLeaks(() => {
      expect([...columnSums(tf.tensor2d([1, 2, 3], [1, 3])).dataSync()]).toEqual([1, 2, 3]);
      expect([...columnSums(tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2])).dataSync()]).toEqual([9, 12]);
    });
  });
});

/** Compares with central differences of sum(upstream * gain * norm(x)). */
function checkNormGradient(
  got: ArrayLike<number>,
  c: {
    x: Float32Array;
    upstream: Float32Array;
    gain: Float32Array;
    sizes: readonly number[];
    rows: number;
  },
): void {
  const width = c.sizes.at(-1)!;
  const step = 1e-5;
  const segment = segmentIndex(c.sizes);
  for (let r = 0; r < c.rows; r++) {
    const row = Float64Array.from(c.x.subarray(r * width, (r + 1) * width));
    const value = (d: number) =>
      normRow(row, c.sizes).reduce((sum, y, i) => {
        return segment[i] === segment[d] ? sum + y * c.upstream[r * width + i]! * c.gain[i]! : sum;
      }, 0);
    const expected = row.map((original, d) => {
      row[d] = original + step;
      const above = value(d);
      row[d] = original - step;
      const below = value(d);
      row[d] = original;
      return (above - below) / (2 * step);
    });
    expect(distance(Array.from(got).slice(r * width, (r + 1) * width), expected)).toBeLessThan(
      1e-3,
    );
  }
}
