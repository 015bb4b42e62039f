import { createRandom } from '@nestrec/random';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { likenessOrder } from './likeness-order.js';

describe('the order in which like vectors stand together', () => {
  it('holds every row once, whatever the vectors are', async () => {
    const values = fc.array(fc.float({ noNaN: true, min: -9, max: 9 }), { maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(values, fc.integer({ min: 1, max: 4 }), async (numbers, dim) => {
        const count = Math.floor(numbers.length / dim);
        const order = await likenessOrder(Float32Array.from(numbers.slice(0, count * dim)), dim);
        expect([...order].sort((a, b) => a - b)).toEqual(
          Array.from({ length: count }, (_, i) => i),
        );
      }),
    );
  });

  it('ends soon where all vectors are one', async () => {
    const order = await likenessOrder(new Float32Array(60_000).fill(1), 2);
    expect(new Set(order).size).toBe(30_000);
  });

  it('puts the members of scattered groups beside each other', async () => {
    const random = createRandom(3);
    const [groups, dim, count] = [32, 8, 2_048];
    const centres = Array.from({ length: groups * dim }, () => 10 * random.normal());
    const vectors = Float32Array.from(
      { length: count * dim },
      (_, at) => centres[(Math.floor(at / dim) % groups) * dim + (at % dim)]! + random.normal(),
    );
    const changes = (rows: Iterable<number>) => {
      const of = [...rows].map((row) => row % groups);
      return of.filter((group, place) => place > 0 && group !== of[place - 1]).length;
    };
    expect(changes(Array.from({ length: count }, (_, row) => row))).toBe(count - 1);
    // A group is divided where a median falls into it: some of the 32 are in several pieces.
    expect(changes(await likenessOrder(vectors, dim))).toBeLessThan(count / 10);
  });
});
