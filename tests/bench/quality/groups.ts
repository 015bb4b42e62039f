/**
 * Splits cases by whether the target was bought on the day of the event before it: Beauty's times are
 * whole days, and purchases of one day make much of every simple scorer's figure.
 */
import type { EvaluationCases, SequenceDataset } from '@nestrec/dataset';

const DAY_MS = 86_400_000;

export interface CaseGroups {
  readonly sameDay: Int32Array;
  readonly later: Int32Array;
}

/** Null when the data have no times. The target is the event that follows the case's history. */
export function groupByDay(dataset: SequenceDataset, cases: EvaluationCases): CaseGroups | null {
  const { offsets } = dataset;
  if (dataset.times === null) return null;
  const times = dataset.times.subarray(0, dataset.times.length);
  const sameDay: number[] = [];
  const later: number[] = [];
  for (let c = 0; c < cases.target.length; c++) {
    const length = cases.historyOffsets[c + 1]! - cases.historyOffsets[c]!;
    const event = offsets[cases.user[c]!]! + length;
    const same =
      length > 0 && Math.floor(times[event]! / DAY_MS) === Math.floor(times[event - 1]! / DAY_MS);
    (same ? sameDay : later).push(c);
  }
  return { sameDay: Int32Array.from(sameDay), later: Int32Array.from(later) };
}
