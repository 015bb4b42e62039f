import fc from 'fast-check';
import { createRandom } from '@nestrec/random';
import { describe, expect, it } from 'vitest';
import {
  randomModel,
  randomVectors,
  relativeError,
} from '../../../tests/helpers/streaming-reference.js';
import { createCell, type Cell } from './cell.js';
import { canEdit, eraseEvent, insertLate, MAX_EDITS, mergeStates } from './edits.js';
import type { UserState } from './user-state.js';

const cases = fc.record({
  seed: fc.integer({ min: 1, max: 1e9 }),
  blocks: fc.constantFrom(1, 2),
  length: fc.integer({ min: 1, max: 30 }),
  place: fc.double({ min: 0, max: 0.999, noNaN: true }),
  rMin: fc.constantFrom(0.3, 0.1, 0.02, 0.004, 0.0001),
});

const cellOf = (seed: number, blocks: number, rMin = 0.3, rMax = 0.8): Cell => {
  const model = randomModel(seed, { sizes: [4, 8, 16], blocks, rMin, rMax });
  return createCell(model.config, model.params);
};
/** Same h, x and query as `wanted`, within `tolerance` of the largest entry. */
const expectSame = (cell: Cell, got: UserState, wanted: UserState, tolerance = 1e-5) => {
  expect(got.events).toBe(wanted.events);
  expect(got.x).toEqual(wanted.x);
  const gap = Math.max(relativeError(got.re, wanted.re), relativeError(got.im, wanted.im));
  expect(gap).toBeLessThan(tolerance);
  expect(relativeError(cell.query(got), cell.query(wanted))).toBeLessThan(10 * tolerance);
};

describe('edits of a state', () => {
  it('erase = the event never happened, wherever it stood', () => {
    fc.assert(
      fc.property(cases, ({ seed, blocks, length, place, rMin }) => {
        const cell = cellOf(seed, blocks, rMin);
        const history = randomVectors(createRandom(seed), length, cell.dim);
        const at = Math.floor(place * length);
        const state = cell.fold(history);
        const [older, newer] = [history.slice(0, at), history.slice(at + 1)];
        eraseEvent(cell, state, history[at]!, { older, newer });
        if (length === 1) expect(state).toEqual(cell.emptyState());
        else expectSame(cell, state, cell.fold([...older, ...newer]));
      }),
      { numRuns: 150 },
    );
  });

  it('late insert = the event came in order, wherever it belongs', () => {
    fc.assert(
      fc.property(cases, ({ seed, blocks, length, place, rMin }) => {
        const cell = cellOf(seed, blocks, rMin);
        const history = randomVectors(createRandom(seed), length, cell.dim);
        const [late] = randomVectors(createRandom(seed + 1), 1, cell.dim);
        const at = Math.floor(place * (length + 1));
        const state = cell.fold(history);
        const [older, newer] = [history.slice(0, at), history.slice(at)];
        insertLate(cell, state, late!, { older, newer });
        expectSame(cell, state, cell.fold([...older, late!, ...newer]));
      }),
      { numRuns: 150 },
    );
  });

  it('merge = the two stretches folded as one', () => {
    fc.assert(
      fc.property(cases, ({ seed, length, place }) => {
        const cell = cellOf(seed, 1);
        const history = randomVectors(createRandom(seed), length, cell.dim);
        const at = Math.floor(place * (length + 1));
        const [older, newer] = [history.slice(0, at), history.slice(at)];
        const merged = mergeStates(cell, cell.fold(older), cell.fold(newer));
        expectSame(cell, merged, cell.fold(history));
      }),
      { numRuns: 100 },
    );
  });

  it('many edits in any order still equal the edited history; after three the state is refolded', () => {
    const edit = fc.record({
      insert: fc.boolean(),
      place: fc.double({ min: 0, max: 0.999, noNaN: true }),
    });
    fc.assert(
      fc.property(cases, fc.array(edit, { minLength: 1, maxLength: 12 }), (start, edits) => {
        const cell = cellOf(start.seed, start.blocks, start.rMin);
        const random = createRandom(start.seed);
        let history = randomVectors(random, start.length, cell.dim);
        const state = cell.fold(history);
        for (const { insert, place } of edits) {
          const before = state.edits;
          if (insert) {
            const [late] = randomVectors(random, 1, cell.dim);
            const at = Math.floor(place * (history.length + 1));
            const [older, newer] = [history.slice(0, at), history.slice(at)];
            insertLate(cell, state, late!, { older, newer });
            history = [...older, late!, ...newer];
          } else if (history.length > 0) {
            const at = Math.floor(place * history.length);
            const [older, newer] = [history.slice(0, at), history.slice(at + 1)];
            eraseEvent(cell, state, history[at]!, { older, newer });
            history = [...older, ...newer];
          }
          expect(state.edits).toBeLessThanOrEqual(Math.min(before + 1, MAX_EDITS));
          expectSame(cell, state, cell.fold(history));
        }
      }),
      { numRuns: 100 },
    );
  });

  it('refolds instead of dividing by a lambda that would show rounding', () => {
    const cell = cellOf(4, 1, 0.0005, 0.5);
    const history = randomVectors(createRandom(4), 10, cell.dim);
    const state = cell.fold(history);
    expect(canEdit(cell, state, 'erase')).toBe(false);
    expect(canEdit(cell, state, 'insert')).toBe(true);
    eraseEvent(cell, state, history[9]!, { older: history.slice(0, 9), newer: [] });
    expect(state).toEqual(cell.fold(history.slice(0, 9)));
  });

  it('says how many events a refold needs when it is given too few', () => {
    const cell = cellOf(4, 2);
    const history = randomVectors(createRandom(4), 12, cell.dim);
    const state = cell.fold(history);
    const tooFew = { older: history.slice(8, 9), newer: history.slice(10) };
    expect(() => eraseEvent(cell, state, history[9]!, tooFew)).toThrow(/needs the last 11, got 3/);
    expect(() => insertLate(cell, state, history[9]!, tooFew)).toThrow(/needs the last 13, got 4/);
    expect(() => mergeStates(cell, state, state)).toThrow(/do not merge/);
    expect(() => eraseEvent(cell, cell.emptyState(), history[0]!, tooFew)).toThrow(/no event/);
  });

  it('only counts a late event that is too old to be seen', () => {
    const cell = cellOf(4, 1, 0.1, 0.3);
    const history = randomVectors(createRandom(4), cell.replayEvents, cell.dim);
    const [late] = randomVectors(createRandom(5), 1, cell.dim);
    const state = cell.fold(history);
    insertLate(cell, state, late!, { older: [], newer: history });
    expectSame(cell, state, cell.fold([late!, ...history]));
    expect(state.edits).toBe(0);
  });
});
