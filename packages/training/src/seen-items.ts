/** Which items of a case's history can be masked: each once, the target never. */
import { historiesOf, type EvaluationCases } from '@nestrec/dataset';
import type { AskedCases } from '@nestrec/evaluation';

export interface SeenItems {
  readonly offsets: Int32Array;
  readonly items: Int32Array;
}

/**
 * Distinct history items of every case. A target that stands in its own history (a re-purchase) stays a
 * candidate: masking it would make the question unanswerable.
 */
export function seenItems(cases: EvaluationCases, numItems: number): SeenItems {
  const count = cases.target.length;
  const offsets = new Int32Array(count + 1);
  const items = new Int32Array(cases.history.length);
  /** Case (+1) that last marked an item. */
  const mark = new Int32Array(numItems + 1);
  let at = 0;
  for (let c = 0; c < count; c++) {
    for (let h = cases.historyOffsets[c]!; h < cases.historyOffsets[c + 1]!; h++) {
      const item = cases.history[h]!;
      if (item === cases.target[c] || mark[item] === c + 1) continue;
      mark[item] = c + 1;
      items[at++] = item;
    }
    offsets[c + 1] = at;
  }
  return { offsets, items: items.slice(0, at) };
}

/** The cases as scorers are asked them. */
export function askedOf(cases: EvaluationCases, numItems: number): AskedCases {
  return {
    histories: historiesOf(cases),
    targets: cases.target,
    seen: seenItems(cases, numItems),
  };
}

/** A seeded sample of `wanted` cases in their own order; all of them when there are not more. */
export function sampleCases(
  cases: EvaluationCases,
  wanted: number,
  shuffled: (count: number) => Int32Array,
): EvaluationCases {
  const count = cases.target.length;
  if (wanted === 0 || count <= wanted) return cases;
  return chooseCases(cases, shuffled(count).subarray(0, wanted).sort());
}

/** The cases at these indexes. */
export function chooseCases(cases: EvaluationCases, indexes: Int32Array): EvaluationCases {
  const lengthOf = (c: number) => cases.historyOffsets[c + 1]! - cases.historyOffsets[c]!;
  const historyOffsets = new Int32Array(indexes.length + 1);
  indexes.forEach((c, i) => (historyOffsets[i + 1] = historyOffsets[i]! + lengthOf(c)));
  const history = new Int32Array(historyOffsets.at(-1)!);
  indexes.forEach((c, i) => {
    const from = cases.historyOffsets[c]!;
    history.set(cases.history.subarray(from, from + lengthOf(c)), historyOffsets[i]);
  });
  return {
    user: indexes.map((c) => cases.user[c]!),
    historyOffsets,
    history,
    target: indexes.map((c) => cases.target[c]!),
    ...(cases.positions === undefined
      ? {}
      : { positions: indexes.map((c) => cases.positions![c]!) }),
    ...(cases.times === undefined
      ? {}
      : { times: Float64Array.from(indexes, (c) => cases.times![c]!) }),
  };
}
