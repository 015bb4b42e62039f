/** What a manifest says of the split that its model was trained on. */
import type { Manifest, QualityRow } from '@nestrec/contracts';
import { inOrder, type SequenceDataset, type TemporalCuts } from '@nestrec/dataset';

export const protocolOf = ({ evaluation, quality }: Manifest): QualityRow['protocol'] =>
  evaluation?.protocol ?? quality[0]?.protocol ?? 'leave-one-out';

export function cutsOf({ evaluation }: Manifest): TemporalCuts | undefined {
  if (!evaluation?.validationFrom || !evaluation.testFrom) return undefined;
  return {
    validationFromMs: Date.parse(evaluation.validationFrom),
    testFromMs: Date.parse(evaluation.testFrom),
  };
}

/** As the leave-one-out split has it: of so many events the newest two are held out. */
const LEAST_HELD_OUT_EVENTS = 3;

/**
 * Where the events that a model was trained on end, by user, as positions in a data set of what is stored now. What
 * came after its training it cannot know; of the rest, its protocol says what was held out. Where the manifest does
 * not tell the cut of a temporal split, nothing was.
 */
export function trainedEnds(
  manifest: Manifest,
  { offsets, times }: Pick<SequenceDataset, 'offsets' | 'times'>,
): Int32Array {
  const to = manifest.data.to === null ? Infinity : Date.parse(manifest.data.to);
  const cut = manifest.evaluation?.validationFrom;
  const isTemporal = protocolOf(manifest) === 'temporal';
  const before = isTemporal && cut ? Math.min(Date.parse(cut), to + 1) : to + 1;
  const inTurn = times === null ? null : inOrder(times);
  return offsets.slice(0, -1).map((from, user) => {
    const all = offsets[user + 1]! - from;
    const of = inTurn === null ? all : countBefore(inTurn.subarray(from, from + all), before);
    return from + of - (!isTemporal && of >= LEAST_HELD_OUT_EVENTS ? 2 : 0);
  });
}

/** Events that came after the newest one that the model was made of. */
export function countNewer(
  { data: { to } }: Manifest,
  { offsets, times }: Pick<SequenceDataset, 'offsets' | 'times'>,
): number {
  if (to === null || times === null) return 0;
  const [inTurn, after] = [inOrder(times), Date.parse(to) + 1];
  return offsets.slice(0, -1).reduce((sum, from, user) => {
    const of = inTurn.subarray(from, offsets[user + 1]!);
    return sum + of.length - countBefore(of, after);
  }, 0);
}

/** Of ascending times. */
function countBefore(times: Float64Array, ms: number): number {
  const at = times.findIndex((time) => time >= ms);
  return at < 0 ? times.length : at;
}
