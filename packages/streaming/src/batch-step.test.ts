import fc from 'fast-check';
import { createRandom } from '@nestrec/random';
import { describe, expect, it } from 'vitest';
import { randomModel, randomVectors } from '../../../tests/helpers/streaming-reference.js';
import { createCell, type Cell } from './cell.js';
import { copyState } from './user-state.js';

const models = fc.record({
  seed: fc.integer({ min: 1, max: 1e9 }),
  sizes: fc.constantFrom<number[][]>([4, 8, 16], [8], [3, 5, 12], [1, 2, 7]),
  blocks: fc.constantFrom(1, 2, 3),
  useBias: fc.boolean(),
});
const cellOf = (shape: { seed: number; sizes: number[]; blocks: number; useBias?: boolean }) => {
  const model = randomModel(shape.seed, shape);
  return createCell({ ...model.config, useBias: shape.useBias ?? true }, model.params);
};
/** States that have seen something already. */
const usersOf = (cell: Cell, seed: number, count: number) => {
  const random = createRandom(seed);
  return Array.from({ length: count }, () =>
    cell.fold(randomVectors(random, random.int(4), cell.dim)),
  );
};

describe('stepAll', () => {
  it('gives the bits of one step after the other, for any users, items and order', () => {
    // Up to 40 users: more than one tile, and tiles that are not full.
    const batches = fc.array(fc.tuple(fc.nat(39), fc.nat(9)), { maxLength: 90 });
    fc.assert(
      fc.property(models, batches, (shape, batch) => {
        const cell = cellOf(shape);
        const items = randomVectors(createRandom(shape.seed), 10, cell.dim);
        const together = usersOf(cell, shape.seed, 40);
        const alone = together.map(copyState);
        cell.stepAll(batch.map(([u, i]) => ({ state: together[u]!, item: items[i]! })));
        for (const [u, i] of batch) cell.step(alone[u]!, items[i]!);
        expect(together).toEqual(alone);
      }),
      { numRuns: 150 },
    );
  });

  it('takes the events of one user in the order given', () => {
    for (const blocks of [1, 2]) {
      const cell = cellOf({ seed: 4, sizes: [4, 8], blocks });
      const [a, b] = randomVectors(createRandom(4), 2, 8) as [Float32Array, Float32Array];
      const [state, other] = [cell.emptyState(), cell.emptyState()];
      cell.stepAll([a, b].map((item) => ({ state, item })));
      cell.stepAll([b, a].map((item) => ({ state: other, item })));
      expect(state).toEqual(cell.fold([a, b]));
      expect(state.re).not.toEqual(other.re);
    }
  });

  it('leaves every state as it was where one event does not fit', () => {
    const cell = cellOf({ seed: 5, sizes: [4, 8], blocks: 2 });
    const states = usersOf(cell, 5, 3);
    const before = states.map(copyState);
    const [good] = randomVectors(createRandom(5), 1, 8);
    const misfit = { state: states[1]!, item: new Float32Array(7) };
    expect(() => cell.stepAll([{ state: states[0]!, item: good! }, misfit])).toThrow(
      /7 coordinates/,
    );
    const foreign = { state: cellOf({ seed: 5, sizes: [4, 8], blocks: 1 }).emptyState() };
    expect(() =>
      cell.stepAll([
        { state: states[0]!, item: good! },
        { ...foreign, item: good! },
      ]),
    ).toThrow(/state of 1 x 8/);
    expect(states).toEqual(before);
  });
});

describe('contributions', () => {
  it('are h after one event on an empty state, whatever items are beside it', () => {
    fc.assert(
      fc.property(models, fc.integer({ min: 1, max: 40 }), (shape, count) => {
        const cell = cellOf({ ...shape, blocks: 1 });
        const items = randomVectors(createRandom(shape.seed), count, cell.dim);
        const found = cell.contributions(items);
        items.forEach((item, i) => {
          const state = cell.emptyState();
          cell.step(state, item);
          expect({ re: state.re, im: state.im }).toEqual(found[i]);
        });
      }),
      { numRuns: 50 },
    );
  });

  it('are computed once per vector object, and anew for an item whose vector was replaced', () => {
    const cell = cellOf({ seed: 6, sizes: [4, 8], blocks: 1 });
    const [old, replaced] = randomVectors(createRandom(6), 2, 8) as [Float32Array, Float32Array];
    const [first, again] = cell.contributions([old, old]);
    expect(again).toBe(first);
    expect(cell.contributions([old])[0]).toBe(first);
    const [copied, other] = cell.contributions([old.slice(), replaced]);
    expect(copied).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('refuse a vector of another length', () => {
    const cell = cellOf({ seed: 6, sizes: [4, 8], blocks: 1 });
    expect(() => cell.contributions([new Float32Array(9)])).toThrow(/9 coordinates, wanted 8/);
  });
});
