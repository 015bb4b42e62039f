import { describe, expect, it } from 'vitest';
import { fitItemKnn, type ItemKnnOptions } from './item-knn.js';

const N = 5;
// Users that had 1: a b c; 2: a b; 3: a c d; 4: d; 5: nobody. Both: 1 2 -> 2, 1 3 -> 2, 2 3 -> 1, 3 4 -> 1.
const train = [
  [1, 2, 1, 3],
  [2, 1, 2],
  [3, 1],
  [4, 3],
].map((row) => Int32Array.from(row));

function scores(history: readonly number[], options: ItemKnnOptions): number[] {
  const out = new Float32Array(N + 1).fill(123);
  fitItemKnn(train, N, options).score(Int32Array.from(history), out);
  expect(out[0]).toBe(-Infinity);
  return [...out.subarray(1)];
}
const near = (values: readonly number[]) =>
  values.map((value) => expect.closeTo(value, 2) as number);

describe('item-knn', () => {
  it('is the cosine over the users that had both, however often and in whatever order', () => {
    const cosine = [0, 2 / Math.sqrt(3 * 2), 2 / Math.sqrt(3 * 3), 0, 0];
    expect(scores([1], { shrink: 0 })).toEqual(near(cosine));
  });

  it('shrinks what few users say', () => {
    const shrunk = [2 / (3 + 4), 1 / (Math.sqrt(6) + 4), 0, 1 / (Math.sqrt(3) + 4), 0];
    expect(scores([3], { shrink: 4 })).toEqual(near(shrunk));
  });

  it('adds up over the distinct items that came last', () => {
    const [one] = [scores([1], { shrink: 0 })];
    expect(scores([2, 1, 1], { shrink: 0, lookback: 1 })).toEqual(one);
    const both = [2 / Math.sqrt(6), 2 / Math.sqrt(6), 2 / 3 + 1 / Math.sqrt(6), 0, 0];
    expect(scores([1, 2, 1, 1], { shrink: 0, lookback: 2 })).toEqual(near(both));
  });

  it('keeps the most similar neighbours of each item', () => {
    const nearest = scores([3], { shrink: 0, neighbours: 1 });
    expect(nearest.map((score) => score > 0.1)).toEqual([true, false, false, false, false]);
  });

  it('counts the newest items of a user alone where there are too many', () => {
    // Of the first user only 1 and 3 stay: 2 and 3 were never together.
    expect(scores([3], { shrink: 0, itemsPerUser: 2 })[1]).toBeLessThan(0.1);
    expect(scores([3], { shrink: 0 })[1]).toBeGreaterThan(0.1);
  });

  it('orders what it knows nothing of by popularity, behind the rest', () => {
    const [one, two, , four, five] = scores([4], { shrink: 0 }) as [
      number,
      number,
      number,
      number,
      number,
    ];
    expect(one).toBeGreaterThan(two);
    expect(two).toBeGreaterThan(four);
    expect(four).toBeGreaterThan(five);
    expect(one).toBeLessThan(scores([4], { shrink: 0 })[2]! / 50);
  });
});
