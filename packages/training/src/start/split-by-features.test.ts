import { createRandom } from '@nestrec/random';
import { selectBackend } from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { splitByFeatures } from './split-by-features.js';

const random = createRandom(11);
const rows = (count: number, columns: number) =>
  Float32Array.from({ length: count * columns }, () => random.normal());

describe('item vectors split by features', () => {
  beforeAll(async () => {
    await selectBackend({ force: 'cpu' });
  });

  it('are P f + p + R again, R without what features say of items that are taken, over panels of items', () => {
    // More items than one panel has.
    const [items, width, featureWidth] = [70_000, 2, 3];
    const features = rows(items, featureWidth);
    const noise = rows(items, width);
    const vectors = noise.map((value, at) => {
      const f = features.subarray(
        Math.floor(at / width) * featureWidth,
        (Math.floor(at / width) + 1) * featureWidth,
      );
      return at % width === 0 ? 2 * f[0]! - f[1]! + 5 + 0.1 * value : 3 * f[2]! + 0.1 * value;
    });
    const frequency = Float64Array.from({ length: items }, () => random.int(4));
    const split = splitByFeatures({
      vectors: vectors.slice(),
      ...{ width, features, featureWidth, frequency },
    });
    // The ridge of 100 beside 105,000 events of unit variance takes a thousandth.
    const wanted = [2, -1, 0, 0, 0, 3];
    split.projector.forEach((value, at) => expect(value).toBeCloseTo(wanted[at]!, 2));
    expect(split.bias[0]).toBeCloseTo(5, 2);
    expect(split.bias[1]).toBeCloseTo(0, 2);
    for (const item of [0, 1, 65_535, 65_536, items - 1]) {
      for (let d = 0; d < width; d++) {
        let sum = split.bias[d]! + split.residual[item * width + d]!;
        for (let f = 0; f < featureWidth; f++)
          sum += split.projector[d * featureWidth + f]! * features[item * featureWidth + f]!;
        expect(sum).toBeCloseTo(vectors[item * width + d]!, 4);
      }
    }
  });

  it('hold items that nobody took to what the others say', () => {
    // Two taken items lie on a line through their features; the third, not taken, does not move it.
    const split = splitByFeatures({
      vectors: Float32Array.of(1, 3, 100),
      width: 1,
      features: Float32Array.of(0, 1, 1),
      featureWidth: 1,
      frequency: Float64Array.of(1e6, 1e6, 0),
    });
    expect(split.projector[0]).toBeCloseTo(2, 3);
    expect(split.bias[0]).toBeCloseTo(1, 3);
    expect(split.residual[2]).toBeCloseTo(97, 2);
  });
});
