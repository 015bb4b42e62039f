import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitLeaveOneOut } from './split-leave-one-out.js';
import { splitTemporal } from './split-temporal.js';
import type { EvaluationCases, SequenceDataset } from './types.js';

type Event = readonly [item: number, time: number];

function dataset(users: readonly (readonly Event[])[], items = 9): SequenceDataset {
  const offsets = [0];
  for (const events of users) offsets.push(offsets.at(-1)! + events.length);
  return {
    itemIds: Array.from({ length: items }, (_, i) => `i${i + 1}`),
    offsets: Int32Array.from(offsets),
    items: Int32Array.from(users.flat(), ([item]) => item),
    times: Float64Array.from(users.flat(), ([, time]) => time),
  };
}

const readable = (cases: EvaluationCases) =>
  Array.from(cases.target, (target, c) => ({
    user: cases.user[c],
    history: [...cases.history.subarray(cases.historyOffsets[c], cases.historyOffsets[c + 1])],
    target,
    position: cases.positions![c],
  }));

const CUTS = { validationFromMs: 30, testFromMs: 40 };

describe('cases of somebody of whom little is known', () => {
  // Known to training: 1, 2, 3. Users 1 and 2 are new: one of them comes before the test cut.
  const data = dataset([
    [
      [1, 10],
      [2, 20],
      [3, 25],
      [2, 32],
      [1, 45],
    ],
    [
      [2, 35],
      [9, 41],
      [3, 42],
      [1, 43],
    ],
    [
      [1, 50],
      [1, 51],
    ],
  ]);
  const temporal = splitTemporal(data, CUTS);

  it('are the first events of users whom training never saw, where the next one is in the test part', () => {
    expect(readable(temporal.casesKnowing(0))).toEqual([
      { user: 2, history: [], target: 1, position: 9 },
    ]);
    // Item 9 is unknown to training: neither asked about nor an event that is known.
    expect(readable(temporal.casesKnowing(1))).toEqual([
      { user: 1, history: [2], target: 3, position: 7 },
      { user: 2, history: [1], target: 1, position: 10 },
    ]);
    expect(readable(temporal.casesKnowing(2))).toEqual([
      { user: 1, history: [2, 3], target: 1, position: 8 },
    ]);
    // Of the first user four events come before the test part, but training saw them.
    for (const events of [3, 4]) expect(readable(temporal.casesKnowing(events))).toEqual([]);
  });

  it('are the test cases with the newest events alone where training saw everybody’s first', () => {
    const split = splitLeaveOneOut(data);
    expect(readable(split.casesKnowing(2))).toEqual([
      { user: 0, history: [3, 2], target: 1, position: 4 },
      { user: 1, history: [9, 3], target: 1, position: 8 },
    ]);
    expect(readable(split.casesKnowing(0)).map(({ history }) => history)).toEqual([[], []]);
    expect(readable(split.casesKnowing(99))).toEqual(readable(split.cases('test')));
  });
});

describe('a temporal split leaks nothing', () => {
  const event = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 60 }));
  const users = fc
    .array(fc.array(event, { maxLength: 8 }), { minLength: 1, maxLength: 8 })
    .map((rows) => rows.map((row) => row.sort((a, b) => a[1] - b[1])));
  /** Some event before the first cut, one in each part after it, of a known item. */
  const frame: Event[] = [
    [1, 0],
    [1, 30],
    [1, 40],
  ];

  it('into training: what comes at the cut or later changes nothing of it', () => {
    fc.assert(
      fc.property(users, fc.integer({ min: 1, max: 9 }), (rows, other) => {
        const trainOf = (changed: readonly (readonly Event[])[]) =>
          Array.from(splitTemporal(dataset([frame, ...changed]), CUTS).train, (items) => [
            ...items,
          ]);
        const changed = rows.map((row) =>
          row.map(([item, time]): Event => [time >= 30 ? other : item, time]),
        );
        expect(trainOf(changed)).toEqual(trainOf(rows));
      }),
    );
  });

  it('into histories: they are what the user did before the target', () => {
    fc.assert(
      fc.property(users, fc.integer({ min: 0, max: 3 }), (rows, events) => {
        const data = dataset([frame, ...rows]);
        const split = splitTemporal(data, CUTS, { unknownItems: 'keep' });
        const itemsOf = data.items.subarray(0, data.items.length);
        for (const cases of [split.cases('test'), split.casesKnowing(events)]) {
          readable(cases).forEach(({ user, history, target, position }, c) => {
            expect(cases.times![c]).toBeGreaterThanOrEqual(40);
            expect(itemsOf[position!]).toBe(target);
            expect(history).toEqual([...itemsOf.subarray(data.offsets[user!]!, position)]);
          });
        }
      }),
    );
  });
});
