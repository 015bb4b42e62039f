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
import type { PackedBatch, Ragged } from './types.js';

export interface PackedBatchOptions {
  /** Slots (windows) per batch. */
  readonly usersPerBatch: number;
  /** Most steps of one window. */
  readonly maxLength: number;
  readonly windows: 'last' | 'all';
  /** Shuffles the windows; hand over the same stream state to get the same epoch. */
  readonly random: Random;
}

/** Targets `items[from .. to)`, a part of user `user`'s history that begins at `first`. */
interface Windows {
  readonly user: Int32Array;
  readonly first: Int32Array;
  readonly from: Int32Array;
  readonly to: Int32Array;
}

function requirePositive(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidConfig({
      detail: `${name} is ${value}; wanted a whole number of at least 1.`,
    });
}

function windowsOf(ragged: Ragged, maxLength: number, windows: 'last' | 'all'): Windows {
  const user: number[] = [];
  const first: number[] = [];
  const from: number[] = [];
  const to: number[] = [];
  for (let u = 0; u + 1 < ragged.offsets.length; u++) {
    const begin = ragged.offsets[u]!;
    let end = ragged.offsets[u + 1]!;
    while (end > begin) {
      const cut = Math.max(begin, end - maxLength);
      user.push(u);
      first.push(begin);
      from.push(cut);
      to.push(end);
      end = windows === 'all' ? cut : begin;
    }
  }
  return {
    user: Int32Array.from(user),
    first: Int32Array.from(first),
    from: Int32Array.from(from),
    to: Int32Array.from(to),
  };
}

/** How many batches one epoch of `packedBatches` has: for progress bars and learning-rate schedules. */
export function countPackedBatches(
  train: Ragged,
  options: Omit<PackedBatchOptions, 'random'>,
): number {
  return Math.ceil(
    windowsOf(train, options.maxLength, options.windows).user.length / options.usersPerBatch,
  );
}

/** One epoch: every window once, in an order drawn from `random`. Users without events are skipped. */
export function* packedBatches(
  train: Ragged,
  options: PackedBatchOptions,
): Generator<PackedBatch, void, undefined> {
  requirePositive('usersPerBatch', options.usersPerBatch);
  requirePositive('maxLength', options.maxLength);
  const windows = windowsOf(train, options.maxLength, options.windows);
  const order = options.random.shuffle(Int32Array.from(windows.user.keys()));
  for (let at = 0; at < order.length; at += options.usersPerBatch)
    yield packWindows(train, windows, order.subarray(at, at + options.usersPerBatch));
}

function packWindows(ragged: Ragged, windows: Windows, chosen: Int32Array): PackedBatch {
  const lengthOf = (w: number) => windows.to[w]! - windows.from[w]!;
  const slots = longestFirst(chosen, lengthOf);
  const layout = layOut(slots.map(lengthOf));
  const inputs = new Int32Array(layout.rows);
  const targets = new Int32Array(layout.rows);
  slots.forEach((w, slot) => {
    const from = windows.from[w]!;
    for (let t = 0; t < lengthOf(w); t++) {
      const row = layout.start[t]! + slot;
      inputs[row] = from + t === windows.first[w] ? 0 : ragged.items[from + t - 1]!;
      targets[row] = ragged.items[from + t]!;
    }
  });
  return {
    users: slots.map((w) => windows.user[w]!),
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
