/**
 * Groups of cases whose figures are worth telling apart. Each breakdown is a partition of what it can place; a group
 * without cases is left out.
 */
import type { Histories } from './types.js';

export interface CaseGroup {
  readonly name: string;
  /** In words, with the bounds. */
  readonly label: string;
  /** Indexes of cases, ascending. */
  readonly cases: Int32Array;
}

/** First lengths of the buckets: 0, 1-2, 3-4, 5-9, 10-19, 20-49, 50 and more. */
const LENGTHS = [0, 1, 3, 5, 10, 20, 50];

/** By the number of events before the target, repeats included; what a scorer is shown of them is its own affair. */
export function byHistoryLength({ offsets }: Histories): CaseGroup[] {
  const bucketOf = (c: number) => {
    const length = offsets[c + 1]! - offsets[c]!;
    return LENGTHS.findLastIndex((first) => first <= length);
  };
  const labels = LENGTHS.map((first, b) => {
    const last = (LENGTHS[b + 1] ?? Infinity) - 1;
    if (last === Infinity) return { name: `${first}+`, label: `${first} events and more` };
    const range = first === last ? String(first) : `${first}-${last}`;
    return { name: range, label: range === '1' ? '1 event' : `${range} events` };
  });
  return group(offsets.length - 1, labels, bucketOf);
}

/** Shares of the items with training events, most popular first, that are head, and head and mid together. */
const HEAD = 0.1;
const HEAD_AND_MID = 0.5;

/**
 * By the training events of the target. Of the items that have any, the tenth with the most are the head, the next
 * four tenths the middle, the rest the tail; items of equal counts are never parted: at a bound all of them belong to
 * the more popular side. Targets without a training event are new.
 *
 * @param counts training events by item; index 0 is no item.
 */
export function byTargetPopularity(targets: Int32Array, counts: ArrayLike<number>): CaseGroup[] {
  const known = Float64Array.from(counts)
    .subarray(1)
    .filter((count) => count > 0)
    .sort()
    .reverse();
  const countAt = (share: number) => known[Math.max(0, Math.ceil(share * known.length) - 1)] ?? 1;
  const bounds = [countAt(HEAD), countAt(HEAD_AND_MID), 1, 0];
  const [head, mid] = bounds as [number, number, number, number];
  const labels = [
    { name: 'head', label: `head: ${head} training events and more` },
    { name: 'mid', label: `middle: ${mid} to ${head - 1}` },
    { name: 'tail', label: `tail: 1 to ${mid - 1}` },
    { name: 'new', label: 'new: none' },
  ];
  return group(targets.length, labels, (c) =>
    bounds.findIndex((bound) => counts[targets[c]!]! >= bound),
  );
}

const DAY_MS = 86_400_000;

/**
 * By whether the target came on the calendar day (UTC) of the event before it in the user's history, or later. Cases
 * without an event before belong to neither.
 *
 * @param times epoch milliseconds of the targets.
 * @param previous of the events before them; NaN where there is none.
 */
export function byDay(times: Float64Array, previous: Float64Array): CaseGroup[] {
  const day = (ms: number) => Math.floor(ms / DAY_MS);
  const labels = [
    { name: 'same-day', label: 'on the day of the event before' },
    { name: 'later', label: 'on a later day' },
  ];
  return group(times.length, labels, (c) =>
    Number.isNaN(previous[c]!) ? -1 : Number(day(times[c]!) !== day(previous[c]!)),
  );
}

function group(
  count: number,
  labels: readonly { name: string; label: string }[],
  groupOf: (c: number) => number,
): CaseGroup[] {
  const of = Int32Array.from({ length: count }, (_, c) => groupOf(c));
  const indexes = Int32Array.from(of.keys());
  return labels
    .map((text, g) => ({ ...text, cases: indexes.filter((c) => of[c] === g) }))
    .filter(({ cases }) => cases.length > 0);
}
