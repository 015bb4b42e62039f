import { describe, expect, it } from 'vitest';
import { createRandom, restoreRandom } from './index.js';

describe('random', () => {
  it('gives the same stream for the same seed and another for another', () => {
    const draw = (seed: number) => Array.from({ length: 5 }, createRandom(seed).uniform);
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it('continues exactly where a saved state stood', () => {
    const random = createRandom(3);
    for (let i = 0; i < 10; i++) random.normal();
    const resumed = restoreRandom(JSON.parse(JSON.stringify(random.state())) as number[]);
    expect([resumed.uniform(), resumed.int(100)]).toEqual([random.uniform(), random.int(100)]);
  });

  it('shuffles into a permutation, and its normals have mean 0 and variance 1', () => {
    const random = createRandom(1);
    expect(random.shuffle([1, 2, 3, 4, 5]).sort()).toEqual([1, 2, 3, 4, 5]);
    const values = Array.from({ length: 20_000 }, () => random.normal());
    const mean = values.reduce((a, b) => a + b) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });

  it('forks into streams that differ by name', () => {
    const random = createRandom(1);
    expect(random.fork('a').uniform()).not.toEqual(random.fork('b').uniform());
    expect(random.fork('a').uniform()).toEqual(random.fork('a').uniform());
    expect(createRandom(7).fork('a').uniform()).not.toEqual(createRandom(8).fork('a').uniform());
  });
});
