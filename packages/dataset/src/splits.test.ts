import { InsufficientData, InvalidInput, isError } from '@nestrec/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildDataset, type DatasetRow } from './build-dataset.js';
import { filterDataset } from './filter-dataset.js';
import { splitLeaveOneOut } from './split-leave-one-out.js';
import { splitTemporal } from './split-temporal.js';
import type { EvaluationCases, SequenceDataset } from './types.js';

const itemsOf = (data: SequenceDataset) => [...data.items.subarray(0, data.items.length)];
const timesOf = (data: SequenceDataset) => [...data.times!.subarray(0, data.times!.length)];

/** `{u: [[item, time], ...]}` as a data set; its users are named a, b, c, ... where a test reads cases. */
function dataset(users: Record<string, [string, number][]>): Promise<SequenceDataset> {
  const rows = Object.keys(users)
    .sort()
    .flatMap((userId) =>
      users[userId]!.map(([itemId, timestampMs], i): DatasetRow => ({
        userId,
        itemId,
        timestampMs,
        eventId: String(i).padStart(4, '0'),
      })),
    );
  return buildDataset([rows]);
}

function readable(data: SequenceDataset, cases: EvaluationCases) {
  const name = (item: number) => data.itemIds[item - 1];
  return [...cases.target].map((target, c) => ({
    user: 'abcdefgh'[cases.user[c]!],
    history: [...cases.history.subarray(cases.historyOffsets[c], cases.historyOffsets[c + 1])].map(
      name,
    ),
    target: name(target),
  }));
}

const thrown = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return null;
};

describe('buildDataset', () => {
  it('numbers items by the catalogue first, then by first appearance', async () => {
    const rows = [
      { userId: 'a', itemId: 'new', timestampMs: 1, eventId: '1' },
      { userId: 'a', itemId: 'y', timestampMs: 2, eventId: '2' },
    ];
    const data = await buildDataset([rows], { catalogue: ['x', 'y'] });
    expect(data.itemIds).toEqual(['x', 'y', 'new']);
    expect(itemsOf(data)).toEqual([3, 2]);
    expect(timesOf(data)).toEqual([1, 2]);
  });

  it('refuses rows that are out of order by user, time or event id', async () => {
    const row = (userId: string, timestampMs: number, eventId: string) => ({
      userId,
      itemId: 'x',
      timestampMs,
      eventId,
    });
    for (const [first, second] of [
      [row('b', 1, '1'), row('a', 2, '2')],
      [row('a', 2, '1'), row('a', 1, '2')],
      [row('a', 1, '2'), row('a', 1, '1')],
      // UTF-8 order, in which U+FF5E comes before an astral character; UTF-16 has it the other way.
      [row('\u{1F600}', 1, '1'), row('\uFF5E', 1, '2')],
    ])
      expect(isError(await thrown(() => buildDataset([[first!], [second!]])), InvalidInput)).toBe(
        true,
      );
  });

  it('says that there are no interactions instead of making an empty data set', async () => {
    expect(isError(await thrown(() => buildDataset([])), InsufficientData)).toBe(true);
  });
});

describe('leave-one-out split', () => {
  it('asks for the last and the second last event, and keeps short users in training whole', async () => {
    const data = await dataset({
      a: [
        ['i', 1],
        ['j', 2],
        ['k', 3],
        ['l', 4],
      ],
      b: [
        ['i', 1],
        ['k', 2],
      ],
    });
    const split = splitLeaveOneOut(data);
    expect([...split.train].flatMap((items) => [...items]).map((i) => data.itemIds[i - 1])).toEqual(
      ['i', 'j', 'i', 'k'],
    );
    expect(readable(data, split.cases('validation'))).toEqual([
      { user: 'a', history: ['i', 'j'], target: 'k' },
    ]);
    expect(readable(data, split.cases('test'))).toEqual([
      { user: 'a', history: ['i', 'j', 'k'], target: 'l' },
    ]);
    expect(split.report).toMatchObject({ usersOnlyInTraining: 1, trainEvents: 4, testCases: 1 });
  });

  it('puts training, validation and test together to every user history again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        async (sizes) => {
          const users = Object.fromEntries(
            sizes.map((size, u) => [
              `u${String(u).padStart(3, '0')}`,
              Array.from({ length: size }, (_, t): [string, number] => [`i${t}`, t]),
            ]),
          );
          const data = await dataset(users);
          const split = splitLeaveOneOut(data);
          const tests = split.cases('test');
          const again = Array.from(split.train, (items) => [...items]);
          const validation = split.cases('validation');
          validation.target.forEach((target, c) => again[validation.user[c]!]!.push(target));
          tests.target.forEach((target, c) => {
            const history = tests.history.subarray(
              tests.historyOffsets[c],
              tests.historyOffsets[c + 1],
            );
            expect([...history]).toEqual(again[tests.user[c]!]);
            again[tests.user[c]!]!.push(target);
          });
          expect(again.flat()).toEqual(itemsOf(data));
        },
      ),
    );
  });

  it('samples the same cases for the same seed, in data order', async () => {
    const users = Object.fromEntries(
      Array.from({ length: 40 }, (_, u) => [
        `u${u + 100}`,
        [0, 1, 2].map((t): [string, number] => [`i${t}`, t]),
      ]),
    );
    const data = await dataset(users);
    const drawn = (seed: number) => [
      ...splitLeaveOneOut(data, { maxCases: 10, seed }).cases('test').user,
    ];
    expect(drawn(1)).toHaveLength(10);
    expect(drawn(1)).toEqual(drawn(1));
    expect(drawn(1)).not.toEqual(drawn(2));
    expect(drawn(1)).toEqual(drawn(1).sort((a, b) => a - b));
    expect(splitLeaveOneOut(data, { maxCases: 10 }).report.droppedBySample).toBe(60);
  });
});

describe('temporal split', () => {
  const history: Record<string, [string, number][]> = {
    a: [
      ['i', 10],
      ['j', 20],
      ['k', 30],
      ['cold', 35],
      ['i', 40],
    ],
    b: [
      ['j', 32],
      ['k', 33],
    ],
    c: [['k', 5]],
  };
  const cuts = { validationFromMs: 30, testFromMs: 40 };

  it('lets training see nothing after the first cut, and asks about every event after it', async () => {
    const data = await dataset(history);
    const split = splitTemporal(data, cuts, { minHistory: 0 });
    expect([...split.train].flatMap((items) => [...items]).map((i) => data.itemIds[i - 1])).toEqual(
      ['i', 'j', 'k'],
    );
    expect(readable(data, split.cases('validation'))).toEqual([
      { user: 'a', history: ['i', 'j'], target: 'k' },
      { user: 'b', history: [], target: 'j' },
      { user: 'b', history: ['j'], target: 'k' },
    ]);
    expect(readable(data, split.cases('test'))).toEqual([
      { user: 'a', history: ['i', 'j', 'k'], target: 'i' },
    ]);
  });

  it('lists items unknown to training, and drops or keeps them as told', async () => {
    const data = await dataset(history);
    const dropped = splitTemporal(data, cuts);
    expect([...dropped.report.unknownItems].map((i) => data.itemIds[i - 1])).toEqual(['cold']);
    expect(dropped.report).toMatchObject({ droppedUnknownEvents: 1, droppedShortHistory: 1 });
    const kept = splitTemporal(data, cuts, { unknownItems: 'keep' });
    expect(readable(data, kept.cases('validation')).map((c) => c.target)).toContain('cold');
    expect(readable(data, kept.cases('test'))[0]!.history).toEqual(['i', 'j', 'k', 'cold']);
    expect(kept.report.unknownItems).toEqual(dropped.report.unknownItems);
  });

  it('counts every event after the cut exactly once, sampled or not', async () => {
    const data = await dataset(history);
    for (const maxCases of [undefined, 1]) {
      const { report } = splitTemporal(data, cuts, maxCases === undefined ? {} : { maxCases });
      const after =
        report.validationCases +
        report.testCases +
        report.droppedUnknownEvents +
        report.droppedShortHistory +
        report.droppedBySample;
      expect(after + report.trainEvents).toBe(data.items.length);
    }
  });

  it('cuts at fractions of the events, and refuses data that cannot be cut', async () => {
    const line = (n: number, time: (t: number) => number) =>
      dataset({ a: Array.from({ length: n }, (_, t): [string, number] => [`i${t % 2}`, time(t)]) });
    const data = await line(10, (t) => t);
    const split = splitTemporal(data, { validationFraction: 0.2, testFraction: 0.3 });
    expect(split.report).toMatchObject({ trainEvents: 5, validationCases: 2, testCases: 3 });
    const same = await line(10, () => 7);
    const fractions = { validationFraction: 0.1, testFraction: 0.1 };
    expect(isError(await thrown(() => splitTemporal(same, fractions)), InsufficientData)).toBe(
      true,
    );
    const timeless = { ...data, times: null };
    expect(isError(await thrown(() => splitTemporal(timeless, fractions)), InsufficientData)).toBe(
      true,
    );
  });
});

describe('filterDataset', () => {
  it('repeats both rules until nothing changes, and says what went', async () => {
    const data = await dataset({
      a: [
        ['x', 1],
        ['y', 2],
        ['rare', 3],
      ],
      b: [
        ['x', 1],
        ['y', 2],
      ],
      c: [
        ['x', 1],
        ['rare2', 2],
      ],
    });
    const filtered = filterDataset(data, { minUserEvents: 2, minItemEvents: 2 });
    expect(filtered).toMatchObject({ droppedUsers: 1, droppedItems: 2, droppedEvents: 3 });
    expect([...filtered.dataset.offsets]).toEqual([0, 2, 4]);
    expect(timesOf(filtered.dataset)).toEqual([1, 2, 1, 2]);
  });
});
