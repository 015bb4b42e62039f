/**
 * Packs training histories into time-major batches without padding (layout: `PackedBatch`).
 *
 * A history i1..in becomes inputs [0, i1, .., i(n-1)] and targets [i1, .., in]: the first item is predicted
 * from the empty history. A window that does not start at the history's beginning has the item before it
 * as its first input instead of 0. Windows are cut from the end, so that the newest one is always full;
 * with windows = 'all' every event is a target exactly once, with 'last' the newest `maxLength` are.
 */
import { InvalidConfig } from '@nestrec/errors';
import type { Random } from '@nestrec/random';
import { rowOf, type Histories } from './histories.js';
import { readRanges } from './numbers.js';
import type { PackedBatch } from './types.js';

export interface WindowOptions {
  /** Slots (windows) per batch. */
  readonly usersPerBatch: number;
  /** Most steps of one window. */
  readonly maxLength: number;
  readonly windows: 'last' | 'all';
}

export interface PackedBatchOptions extends WindowOptions {
  /** Shuffles the windows; hand over the same stream state to get the same epoch. */
  readonly random: Random;
  /** Batches at the beginning of the epoch to leave out; they are not read. */
  readonly skip?: number;
}

function requirePositive(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidConfig({
      detail: `${name} is ${value}; wanted a whole number of at least 1.`,
    });
}

/**
 * Windows are numbered user by user, a user's newest first: user u has the windows `offsets[u]` to
 * `offsets[u + 1]`. One number per user is all that is kept of them.
 */
function windowOffsets(train: Histories, { maxLength, windows }: WindowOptions): Int32Array {
  const offsets = new Int32Array(train.rows + 1);
  for (let u = 0; u < train.rows; u++) {
    const count = Math.ceil((train.end[u]! - train.begin[u]!) / maxLength);
    offsets[u + 1] = offsets[u]! + (windows === 'all' ? count : Math.min(1, count));
  }
  return offsets;
}

/** How many batches one epoch of `packedBatches` has: for progress bars and learning-rate schedules. */
export function countPackedBatches(train: Histories, options: WindowOptions): number {
  return Math.ceil(windowOffsets(train, options)[train.rows]! / options.usersPerBatch);
}

/** One epoch: every window once, in an order drawn from `random`. Users without events are skipped. */
export function* packedBatches(
  train: Histories,
  options: PackedBatchOptions,
): Generator<PackedBatch, void, undefined> {
  const { usersPerBatch, maxLength, random, skip = 0 } = options;
  requirePositive('usersPerBatch', usersPerBatch);
  requirePositive('maxLength', maxLength);
  const offsets = windowOffsets(train, options);
  const order = random.shuffle(new Int32Array(offsets[train.rows]!).map((_, w) => w));
  for (let at = skip * usersPerBatch; at < order.length; at += usersPerBatch)
    yield packWindows(train, offsets, maxLength, order.subarray(at, at + usersPerBatch));
}

function packWindows(
  train: Histories,
  offsets: Int32Array,
  maxLength: number,
  chosen: Int32Array,
): PackedBatch {
  const userOf = chosen.map((w) => rowOf(offsets, w));
  // Window i is [from[i], to[i]); the item before it, where there is one, is its first input.
  const to = chosen.map((w, i) => train.end[userOf[i]!]! - maxLength * (w - offsets[userOf[i]!]!));
  const from = to.map((end, i) => Math.max(train.begin[userOf[i]!]!, end - maxLength));
  const lead = from.map((start, i) => Math.max(train.begin[userOf[i]!]!, start - 1));
  const parts = readRanges(train.items, lead, to);
  const lengthOf = (i: number) => to[i]! - from[i]!;
  const slots = longestFirst(
    chosen.map((_, i) => i),
    lengthOf,
  );
  const layout = layOut(slots.map(lengthOf));
  const inputs = new Int32Array(layout.rows);
  const targets = new Int32Array(layout.rows);
  slots.forEach((i, slot) => {
    const items = parts[i]!;
    const leading = from[i]! - lead[i]!;
    for (let t = 0; t < lengthOf(i); t++) {
      const row = layout.start[t]! + slot;
      inputs[row] = t + leading === 0 ? 0 : items[t + leading - 1]!;
      targets[row] = items[t + leading]!;
    }
  });
  return {
    users: slots.map((i) => userOf[i]!),
    ...layout,
    inputs,
    targets,
    labels: layout.rows,
  };
}

/** Stable: equal lengths keep the order they were drawn in, so one seed gives one batch. */
export function longestFirst(values: Int32Array, lengthOf: (value: number) => number): Int32Array {
  return Int32Array.from(Array.from(values).sort((a, b) => lengthOf(b) - lengthOf(a)));
}

/** `active`, `start` and the number of rows for slots of these lengths (longest first, none 0). */
export function layOut(lengths: Int32Array): {
  active: Int32Array;
  start: Int32Array;
  rows: number;
} {
  const steps = lengths.length === 0 ? 0 : lengths[0]!;
  const active = new Int32Array(steps);
  for (const length of lengths) for (let t = 0; t < length; t++) active[t]!++;
  const start = new Int32Array(steps);
  let rows = 0;
  for (let t = 0; t < steps; t++) {
    start[t] = rows;
    rows += active[t]!;
  }
  return { active, start, rows };
}
