/**
 * Drops rare items and short users before a split, and says how many: a figure without its filter is not
 * comparable with anyone's. Holds all events in memory, as benchmarks may.
 */
import { InsufficientData } from '@nestrec/errors';
import type { SequenceDataset } from './types.js';

export interface DatasetFilter {
  /** Users with fewer events are dropped. */
  readonly minUserEvents?: number;
  /** Items with fewer events are dropped from histories (they keep their internal id). */
  readonly minItemEvents?: number;
}

export interface FilteredDataset {
  readonly dataset: SequenceDataset;
  readonly droppedUsers: number;
  readonly droppedItems: number;
  readonly droppedEvents: number;
  /** Rounds until nothing changed any more (as a k-core is made). */
  readonly rounds: number;
}

/** Repeats both rules until neither drops anything. @throws InsufficientData when nothing is left. */
export function filterDataset(dataset: SequenceDataset, filter: DatasetFilter): FilteredDataset {
  const minUser = filter.minUserEvents ?? 1;
  const minItem = filter.minItemEvents ?? 1;
  const users = dataset.offsets.length - 1;
  const items = dataset.items.subarray(0, dataset.items.length);
  const counts = new Int32Array(dataset.itemIds.length + 1);
  for (const item of items) counts[item]!++;
  const itemsBefore = counts.reduce((n, count) => n + (count > 0 ? 1 : 0), 0);
  const kept = new Uint8Array(items.length).fill(1);
  let rounds = 0;
  for (let changed = true; changed; rounds++) {
    changed = false;
    for (let u = 0; u < users; u++) {
      let length = 0;
      for (let e = dataset.offsets[u]!; e < dataset.offsets[u + 1]!; e++) length += kept[e]!;
      const dropUser = length > 0 && length < minUser;
      for (let e = dataset.offsets[u]!; e < dataset.offsets[u + 1]!; e++) {
        const item = items[e]!;
        if (kept[e] === 0 || (!dropUser && counts[item]! >= minItem)) continue;
        kept[e] = 0;
        counts[item]!--;
        changed = true;
      }
    }
  }
  const filtered = compact(dataset, kept);
  if (filtered.items.length === 0)
    throw new InsufficientData({
      detail: `No user with ${minUser} events of items with ${minItem} events is left.`,
    });
  return {
    dataset: filtered,
    droppedUsers: users - (filtered.offsets.length - 1),
    droppedItems: itemsBefore - counts.reduce((n, count) => n + (count > 0 ? 1 : 0), 0),
    droppedEvents: dataset.items.length - filtered.items.length,
    rounds,
  };
}

function compact(dataset: SequenceDataset, kept: Uint8Array): SequenceDataset {
  const offsets = [0];
  const events: number[] = [];
  for (let u = 0; u + 1 < dataset.offsets.length; u++) {
    const before = events.length;
    for (let e = dataset.offsets[u]!; e < dataset.offsets[u + 1]!; e++)
      if (kept[e] === 1) events.push(e);
    if (events.length > before) offsets.push(events.length);
  }
  const items = dataset.items.subarray(0, kept.length);
  const times = dataset.times?.subarray(0, kept.length) ?? null;
  return {
    itemIds: dataset.itemIds,
    offsets: Int32Array.from(offsets),
    items: Int32Array.from(events, (e) => items[e]!),
    times: times === null ? null : Float64Array.from(events, (e) => times[e]!),
  };
}
