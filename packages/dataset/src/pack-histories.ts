/**
 * Packs histories for scoring: the same layout as training batches, no labels, and the row at which each
 * history ends. Needs no leading 0 input, since h is 0 before the first item anyway; an empty history is
 * the single input 0.
 */
import { layOut, longestFirst } from './packed-batches.js';
import type { EvaluationCases, PackedBatch, Ragged } from './types.js';

export interface PackedHistories extends PackedBatch {
  /** History `from + i` ends at row `lastRows[i]`: the query vector is taken there. */
  readonly lastRows: Int32Array;
}

/** The histories of evaluation cases, one row per case, without copying. */
export function historiesOf(cases: EvaluationCases): Ragged {
  return { offsets: cases.historyOffsets, items: cases.history };
}

/**
 * Packs rows `from .. to` of `histories` (default all), each cut to its newest `maxLength` items.
 * `users[slot]` is the row of `histories` that the slot holds.
 */
export function packHistories(
  histories: Ragged,
  options: { readonly maxLength: number; readonly from?: number; readonly to?: number },
): PackedHistories {
  const from = options.from ?? 0;
  const to = options.to ?? histories.offsets.length - 1;
  const keptOf = (row: number) =>
    Math.min(options.maxLength, histories.offsets[row + 1]! - histories.offsets[row]!);
  const stepsOf = (row: number) => Math.max(1, keptOf(row));
  const rowsWanted = Int32Array.from({ length: to - from }, (_, i) => from + i);
  const users = longestFirst(rowsWanted, stepsOf);
  const layout = layOut(users.map(stepsOf));
  const inputs = new Int32Array(layout.rows);
  const lastRows = new Int32Array(to - from);
  users.forEach((row, slot) => {
    const kept = keptOf(row);
    const begin = histories.offsets[row + 1]! - kept;
    for (let t = 0; t < kept; t++) inputs[layout.start[t]! + slot] = histories.items[begin + t]!;
    lastRows[row - from] = layout.start[stepsOf(row) - 1]! + slot;
  });
  return { users, ...layout, inputs, targets: new Int32Array(layout.rows), labels: 0, lastRows };
}
