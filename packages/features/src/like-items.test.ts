import type { FeatureSpec } from '@nestrec/contracts';
import { createRandom } from '@nestrec/random';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { indexLikeItems } from './like-items.js';
import { featureBlocks, type Likeness } from './likeness.js';

const [TEXT, IMAGE] = [6, 4];
const SPEC: FeatureSpec = {
  modalities: [
    { name: 'text', width: TEXT, kind: 'vector', normalisation: 'l2' },
    { name: 'image', width: IMAGE, kind: 'vector', normalisation: 'none' },
  ],
  missingIndicators: true,
};
const WIDTH = TEXT + IMAGE + 2;
/** Cosines as they are. */
function plainLikeness(features: Float32Array, width: number, spec: FeatureSpec): Likeness {
  const blocks = featureBlocks(spec);
  const metric = Float32Array.from({ length: width * width }, (_, at) =>
    at % (width + 1) === 0 ? 1 : 0,
  );
  const scales = Float32Array.from(
    { length: (features.length / width) * blocks.length },
    (_, at) => {
      const { from, width: inputs } = blocks[at % blocks.length]!;
      const start = Math.floor(at / blocks.length) * width + from;
      const length = Math.hypot(...features.subarray(start, start + inputs));
      return length > 0 ? 1 / length : 0;
    },
  );
  return { metric, scales };
}
const indexOf = (features: Float32Array, rows: Iterable<number>) =>
  indexLikeItems({
    ...{ features, spec: SPEC, rows },
    likeness: plainLikeness(features, WIDTH, SPEC),
  });

/** Rows with both modalities, one, or none, images of any length. */
function catalogue(count: number, seed: number): Float32Array {
  const random = createRandom(seed);
  const rows = new Float32Array(count * WIDTH);
  for (let row = 0; row < count; row++) {
    const kind = random.int(8);
    const at = row * WIDTH;
    const draw = (from: number, width: number) => {
      for (let i = from; i < from + width; i++) rows[at + i] = random.normal();
    };
    if (kind < 6) draw(0, TEXT);
    else rows[at + TEXT + IMAGE] = 1;
    if (kind < 4 || kind === 6) draw(TEXT, IMAGE);
    else rows[at + TEXT + IMAGE + 1] = 1;
  }
  return rows;
}

const part = (row: Float32Array, from: number, width: number) => row.subarray(from, from + width);
const cosine = (a: Float32Array, b: Float32Array) => {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, v, i) => sum + v * y[i]!, 0);
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  return lengths === 0 ? null : dot(a, b) / lengths;
};
/** Mean cosine over the modalities that both have; null where there is none. */
function likenessOf(a: Float32Array, b: Float32Array): number | null {
  const shared = [
    cosine(part(a, 0, TEXT), part(b, 0, TEXT)),
    cosine(part(a, TEXT, IMAGE), part(b, TEXT, IMAGE)),
  ].filter((value) => value !== null);
  return shared.length === 0 ? null : shared.reduce((sum, v) => sum + v, 0) / shared.length;
}

describe('items that are alike by features', () => {
  it('are those of the greatest mean cosine over the modalities that both have, likest first', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 90 }), fc.integer(), async (count, seed) => {
        const features = catalogue(count + 1, seed);
        const rowAt = (row: number) => features.subarray(row * WIDTH, (row + 1) * WIDTH);
        const others = Array.from({ length: count }, (_, row) => row);
        const index = await indexOf(features, others);
        const { rows, likeness } = index.find(rowAt(count), 5);
        const wanted = others
          .map((row) => likenessOf(rowAt(count), rowAt(row)))
          .filter((value) => value !== null)
          .sort((a, b) => b - a)
          .slice(0, 5);
        expect(likeness).toHaveLength(wanted.length);
        wanted.forEach((value, nth) => {
          expect(likeness[nth]).toBeCloseTo(value, 5);
          expect(likenessOf(rowAt(count), rowAt(rows[nth]!))).toBeCloseTo(value, 5);
        });
      }),
      { numRuns: 40 },
    );
  });

  it('are compared under the metric', async () => {
    const spec: FeatureSpec = {
      modalities: [{ name: 'text', width: 2, kind: 'vector', normalisation: 'l2' }],
      missingIndicators: false,
    };
    // Nearly nothing but the second coordinate counts: row 1 has the sign of what is asked for.
    const metric = Float32Array.of(1e-6, 0, 0, 1);
    const features = Float32Array.of(3, -1, 0, 2);
    const lengths = [Math.sqrt(9e-6 + 1), 2];
    const likeness = { metric, scales: Float32Array.from(lengths, (length) => 1 / length) };
    const index = await indexLikeItems({ features, spec, likeness, rows: [0, 1] });
    const found = index.find(Float32Array.of(9, 2), 2);
    expect(found.rows).toEqual([1, 0]);
    expect(found.likeness[0]).toBeCloseTo(2 / Math.sqrt(81e-6 + 4), 5);
    expect(found.likeness[1]).toBeCloseTo(
      (27e-6 - 2) / Math.sqrt(81e-6 + 4) / Math.sqrt(9e-6 + 1),
      5,
    );
  });

  it('are found among the rows that are asked for alone, each once', async () => {
    const features = catalogue(50, 3);
    const index = await indexOf(features, [4, 9, 20]);
    const found = index.find(features.subarray(0, WIDTH), 10).rows;
    expect(new Set(found).size).toBe(found.length);
    expect(found.every((row) => [4, 9, 20].includes(row))).toBe(true);
  });

  it('are nothing for an item without features, and in a catalogue without any', async () => {
    const features = catalogue(20, 4);
    const none = new Float32Array(WIDTH).fill(1, TEXT + IMAGE);
    const some = await indexOf(features, Array(20).keys());
    expect(some.find(none, 5)).toEqual({ rows: [], likeness: [] });
    const empty = await indexOf(none, [0]);
    expect(empty.find(features.subarray(0, WIDTH), 5)).toEqual({ rows: [], likeness: [] });
  });

  it('of a large catalogue are most of the true ones, and hardly less like where they are not', async () => {
    const [count, width, wanted] = [20_000, 32, 5];
    const random = createRandom(5);
    const spec: FeatureSpec = {
      modalities: [{ name: 'text', width, kind: 'vector', normalisation: 'l2' }],
      missingIndicators: false,
    };
    const centres = Float32Array.from({ length: 200 * width }, () => random.normal());
    const features = Float32Array.from(
      { length: count * width },
      (_, at) =>
        centres[(Math.floor(at / width) % 200) * width + (at % width)]! + 0.7 * random.normal(),
    );
    const rows = Array(count - 50).keys();
    const likeness = plainLikeness(features, width, spec);
    const index = await indexLikeItems({ features, spec, likeness, rows });
    const rowAt = (row: number) => features.subarray(row * width, (row + 1) * width);
    const lengths = Array.from({ length: count }, (_, row) => Math.hypot(...rowAt(row)));
    const cosineOf = (row: number, other: number) => {
      let sum = 0;
      for (let d = 0; d < width; d++)
        sum += features[row * width + d]! * features[other * width + d]!;
      return sum / lengths[row]! / lengths[other]!;
    };
    let [hits, lost] = [0, 0];
    for (let row = count - 50; row < count; row++) {
      const likes = Float64Array.from({ length: count - 50 }, (_, other) => cosineOf(row, other));
      const truth = [...likes.keys()].sort((a, b) => likes[b]! - likes[a]!).slice(0, wanted);
      const found = index.find(rowAt(row), wanted);
      hits += truth.filter((other) => found.rows.includes(other)).length;
      truth.forEach((other, nth) => {
        lost += (likes[other]! - found.likeness[nth]!) / (50 * wanted);
      });
    }
    expect(hits / (50 * wanted)).toBeGreaterThan(0.75);
    expect(lost).toBeLessThan(0.02);
  });
});
