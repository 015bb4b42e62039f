/** Parts that both splits share: training prefixes, the seeded sample of cases, the case arrays. */
import { InvalidConfig } from '@nestrec/errors';
import { createRandom } from '@nestrec/random';
import type { EvaluationCases, EvaluationPart, Ragged, SequenceDataset } from './types.js';

/** Asks at most `maxCases` questions per part, drawn uniformly with `seed`, kept in data order. */
export interface CaseSampling {
  readonly maxCases?: number;
  readonly seed?: number;
}

/** The first `keptOf(user)` events of every user. */
export function trainPrefixes(dataset: SequenceDataset, keptOf: (user: number) => number): Ragged {
  const users = dataset.offsets.length - 1;
  const offsets = new Int32Array(users + 1);
  for (let u = 0; u < users; u++) offsets[u + 1] = offsets[u]! + keptOf(u);
  const items = new Int32Array(offsets[users]!);
  for (let u = 0; u < users; u++) {
    const begin = dataset.offsets[u]!;
    items.set(dataset.items.subarray(begin, begin + keptOf(u)), offsets[u]!);
  }
  return { offsets, items };
}

/** The same sample for the same candidates, part, size and seed. */
export function sampleCases(
  candidates: Int32Array,
  part: EvaluationPart,
  { maxCases, seed = 0 }: CaseSampling,
): Int32Array {
  if (maxCases === undefined) return candidates;
  if (!Number.isInteger(maxCases) || maxCases < 1)
    throw new InvalidConfig({ detail: `maxCases is ${maxCases}; wanted a whole number from 1.` });
  if (candidates.length <= maxCases) return candidates;
  const shuffled = createRandom(seed).fork(`cases/${part}`).shuffle(Int32Array.from(candidates));
  return shuffled.slice(0, maxCases).sort();
}

// 2^28 history entries are 1 GiB: past this, a machine of ordinary size would be killed without a word.
const MAX_HISTORY_ENTRIES = 2 ** 28;

export interface CaseBuilder {
  add(user: number, history: Int32Array, target: number): void;
  finish(): EvaluationCases;
}

/** Collects cases; histories are copied once, at the end. */
export function caseBuilder(): CaseBuilder {
  const user: number[] = [];
  const histories: Int32Array[] = [];
  const target: number[] = [];
  let entries = 0;
  return {
    add(caseUser, history, caseTarget) {
      entries += history.length;
      if (entries > MAX_HISTORY_ENTRIES)
        throw new InvalidConfig({
          detail: `The cases' histories exceed ${MAX_HISTORY_ENTRIES} events; set maxCases to sample.`,
        });
      user.push(caseUser);
      histories.push(history);
      target.push(caseTarget);
    },
    finish() {
      const historyOffsets = new Int32Array(histories.length + 1);
      const history = new Int32Array(entries);
      histories.forEach((part, c) => {
        history.set(part, historyOffsets[c]!);
        historyOffsets[c + 1] = historyOffsets[c]! + part.length;
      });
      return {
        user: Int32Array.from(user),
        historyOffsets,
        history,
        target: Int32Array.from(target),
      };
    },
  };
}
