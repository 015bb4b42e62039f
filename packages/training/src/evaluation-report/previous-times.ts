/** When the event before each target came: what tells targets of the same day from later ones. */
import type { EvaluationCases, SequenceDataset } from '@nestrec/dataset';

/** Of the event before each target; NaN where the target was its user's first. Null without real times. */
export function previousTimes(
  { times, offsets }: SequenceDataset,
  { positions, user }: EvaluationCases,
): Float64Array | null {
  if (times === null || positions === undefined) return null;
  return Float64Array.from(positions, (position, c) =>
    position > offsets[user[c]!]! ? times.subarray(position - 1, position)[0]! : Number.NaN,
  );
}
