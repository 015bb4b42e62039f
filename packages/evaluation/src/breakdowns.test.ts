import { describe, expect, it } from 'vitest';
import { byDay, byHistoryLength, byTargetPopularity, type CaseGroup } from './breakdowns.js';

const shown = (groups: readonly CaseGroup[]) =>
  Object.fromEntries(groups.map(({ name, cases }) => [name, [...cases]]));

describe('breakdowns', () => {
  it('by history length has a bucket for every length, and leaves out empty ones', () => {
    const lengths = [0, 1, 2, 3, 4, 5, 9, 19, 20, 49, 50, 400];
    const offsets = [0];
    for (const length of lengths) offsets.push(offsets.at(-1)! + length);
    const histories = { offsets: Int32Array.from(offsets), items: new Int32Array(0) };
    expect(shown(byHistoryLength(histories))).toEqual({
      '0': [0],
      '1-2': [1, 2],
      '3-4': [3, 4],
      '5-9': [5, 6],
      '10-19': [7],
      '20-49': [8, 9],
      '50+': [10, 11],
    });
    expect(byHistoryLength(histories)[3]!.label).toBe('5-9 events');
  });

  it('by popularity parts the items with training events, ties together on the popular side', () => {
    // Items 1..11; item 11 has no training event. Of ten items the head is one, but 2 has as many as 1.
    const counts = [0, 9, 9, 5, 5, 4, 4, 2, 1, 1, 1, 0];
    const targets = Int32Array.of(2, 1, 3, 6, 7, 10, 11);
    const groups = byTargetPopularity(targets, counts);
    expect(shown(groups)).toEqual({ head: [0, 1], mid: [2, 3], tail: [4, 5], new: [6] });
    expect(groups.map(({ label }) => label)).toEqual([
      'head: 9 training events and more',
      'middle: 4 to 8',
      'tail: 1 to 3',
      'new: none',
    ]);
  });

  it('by popularity has a tenth in the head, rounded up, and half in head and middle', () => {
    const sizesOf = (items: number) => {
      const counts = Array.from({ length: items + 1 }, (_, i) => (i === 0 ? 0 : items + 1 - i));
      const targets = Int32Array.from({ length: items }, (_, i) => i + 1);
      return byTargetPopularity(targets, counts).map(({ cases }) => cases.length);
    };
    expect(sizesOf(10)).toEqual([1, 4, 5]);
    expect(sizesOf(11)).toEqual([2, 4, 5]);
  });

  it('by popularity has no tail and no middle where all items are alike', () => {
    expect(shown(byTargetPopularity(Int32Array.of(1, 2), [0, 3, 3, 3]))).toEqual({ head: [0, 1] });
  });

  it('by day goes by calendar days of UTC, not by hours between', () => {
    const at = (text: string) => Date.parse(text);
    const previous = Float64Array.of(
      at('2026-03-01T00:00:00Z'),
      at('2026-03-01T23:59:59Z'),
      Number.NaN,
      at('1969-12-31T23:00:00Z'),
    );
    const times = Float64Array.of(
      at('2026-03-01T23:59:59Z'),
      at('2026-03-02T00:00:00Z'),
      at('2026-03-01T00:00:00Z'),
      at('1970-01-01T01:00:00Z'),
    );
    expect(shown(byDay(times, previous))).toEqual({ 'same-day': [0], later: [1, 3] });
  });
});
