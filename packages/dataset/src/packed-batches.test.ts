import { createRandom } from '@nestrec/random';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histories } from './histories.js';
import { historiesOf, packHistories } from './pack-histories.js';
import { countPackedBatches, packedBatches } from './packed-batches.js';
import type { PackedBatch, Ragged } from './types.js';

function ragged(rows: readonly (readonly number[])[]): Ragged {
  const offsets = new Int32Array(rows.length + 1);
  rows.forEach((row, r) => (offsets[r + 1] = offsets[r]! + row.length));
  return { offsets, items: Int32Array.from(rows.flat()) };
}

/** The steps of one slot, oldest first. */
function stepsOf(batch: PackedBatch, slot: number): { input: number; target: number }[] {
  const steps = [];
  for (let t = 0; t < batch.active.length && slot < batch.active[t]!; t++) {
    const row = batch.start[t]! + slot;
    steps.push({ input: batch.inputs[row]!, target: batch.targets[row]! });
  }
  return steps;
}

function expectConsistentLayout(batch: PackedBatch): void {
  let rows = 0;
  for (let t = 0; t < batch.active.length; t++) {
    expect(batch.start[t]).toBe(rows);
    expect(batch.active[t]).toBeGreaterThan(0);
    if (t > 0) expect(batch.active[t]).toBeLessThanOrEqual(batch.active[t - 1]!);
    rows += batch.active[t]!;
  }
  expect(batch.rows).toBe(rows);
  expect(batch.inputs.length).toBe(rows);
  expect(batch.targets.length).toBe(rows);
  expect(batch.active[0] ?? 0).toBe(batch.users.length);
}

// Every event of every user has its own number, so that a label can be traced to its event.
const histories = fc
  .array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 20 })
  .map((lengths) => {
    let next = 1;
    return lengths.map((length) => Array.from({ length }, () => next++));
  });
const settings = fc.record({
  usersPerBatch: fc.integer({ min: 1, max: 7 }),
  maxLength: fc.integer({ min: 1, max: 6 }),
  seed: fc.integer(),
});

describe('packed batches', () => {
  it('make every event a label exactly once, fed with the event before it', () => {
    fc.assert(
      fc.property(histories, settings, (rows, { seed, ...options }) => {
        const labels: number[] = [];
        const random = createRandom(seed);
        let count = 0;
        for (const batch of packedBatches(Histories.of(ragged(rows)), {
          ...options,
          windows: 'all',
          random,
        })) {
          count++;
          expectConsistentLayout(batch);
          expect(batch.labels).toBe(batch.rows);
          batch.users.forEach((user, slot) => {
            const steps = stepsOf(batch, slot);
            expect(steps.length).toBeLessThanOrEqual(options.maxLength);
            for (const { input, target } of steps) {
              labels.push(target);
              const at = rows[user]!.indexOf(target);
              expect(at).toBeGreaterThanOrEqual(0);
              expect(input).toBe(at === 0 ? 0 : rows[user]![at - 1]);
            }
          });
        }
        expect(labels.sort((a, b) => a - b)).toEqual(rows.flat());
        expect(count).toBe(
          countPackedBatches(Histories.of(ragged(rows)), { ...options, windows: 'all' }),
        );
      }),
    );
  });

  it("with windows 'last' predict each user's newest events, in order", () => {
    fc.assert(
      fc.property(histories, settings, (rows, { seed, ...options }) => {
        const random = createRandom(seed);
        const seen = new Map<number, number[]>();
        for (const batch of packedBatches(Histories.of(ragged(rows)), {
          ...options,
          windows: 'last',
          random,
        }))
          batch.users.forEach((user, slot) => {
            expect(seen.has(user)).toBe(false);
            seen.set(
              user,
              stepsOf(batch, slot).map((step) => step.target),
            );
          });
        rows.forEach((row, user) =>
          expect(seen.get(user) ?? []).toEqual(row.slice(-options.maxLength)),
        );
      }),
    );
  });

  it('come in the same order for the same stream of random numbers, and in another for another', () => {
    const train = Histories.of(ragged(Array.from({ length: 50 }, (_, u) => [u + 1, u + 2])));
    const epoch = (seed: number) =>
      [
        ...packedBatches(train, {
          usersPerBatch: 8,
          maxLength: 4,
          windows: 'all',
          random: createRandom(seed),
        }),
      ].map((batch) => [...batch.users]);
    expect(epoch(1)).toEqual(epoch(1));
    expect(epoch(1)).not.toEqual(epoch(2));
  });

  it('refuse settings that could not work', () => {
    const random = createRandom(1);
    const options = { usersPerBatch: 0, maxLength: 4, windows: 'all' as const, random };
    expect(() => [...packedBatches(Histories.of(ragged([[1]])), options)]).toThrow(
      /usersPerBatch is 0/,
    );
  });
});

describe('packed histories', () => {
  it('end where the last item was fed, the empty one after the padding input', () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 1, max: 6 }), (rows, maxLength) => {
        const packed = packHistories(ragged(rows), { maxLength });
        expectConsistentLayout(packed);
        packed.users.forEach((row, slot) => {
          const fed = stepsOf(packed, slot).map((step) => step.input);
          expect(fed).toEqual(rows[row]!.length === 0 ? [0] : rows[row]!.slice(-maxLength));
          expect(packed.lastRows[row]).toBe(packed.start[fed.length - 1]! + slot);
        });
        expect(packed.labels).toBe(0);
      }),
    );
  });

  it('packs a range of cases, last rows counted from its beginning', () => {
    const cases = {
      user: Int32Array.of(0, 1, 2),
      historyOffsets: Int32Array.of(0, 1, 3, 3),
      history: Int32Array.of(7, 8, 9),
      target: Int32Array.of(1, 2, 3),
    };
    const packed = packHistories(historiesOf(cases), { maxLength: 10, from: 1, to: 3 });
    expect([...packed.users]).toEqual([1, 2]);
    expect([...packed.lastRows].map((row) => packed.inputs[row])).toEqual([9, 0]);
  });
});
