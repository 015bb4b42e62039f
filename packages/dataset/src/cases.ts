/** Parts that both splits share: training prefixes, the seeded sample of cases, the case arrays. */
import { InvalidConfig } from '@nestrec/errors';
import { createRandom, type Random } from '@nestrec/random';
import { Histories, rowOf } from './histories.js';
import { NumberList, sharedArray } from './number-list.js';
import { inOrder } from './numbers.js';
import type { EvaluationCases, EvaluationPart, SequenceDataset } from './types.js';

/** Asks at most `maxCases` questions per part, drawn uniformly with `seed`, kept in data order. */
export interface CaseSampling {
  readonly maxCases?: number;
  readonly seed?: number;
}

/** The first `keptOf(user)` events of every user: a view that copies no event. */
export function trainPrefixes(
  dataset: SequenceDataset,
  keptOf: (user: number) => number,
): Histories {
  const begin = dataset.offsets.subarray(0, -1);
  const end = sharedArray(Int32Array, begin.length);
  for (let u = 0; u < begin.length; u++) end[u] = begin[u]! + keptOf(u);
  return new Histories(dataset.items, begin, end);
}

// A sample's histories take 256 MiB at most, cases that are all wanted 1 GiB: past this, a machine of
// ordinary size would be killed without a word.
const MAX_SAMPLED_ENTRIES = 2 ** 26;
const MAX_HISTORY_ENTRIES = 2 ** 28;

/**
 * The events that are asked about, out of all candidates in data order. With `maxCases` a uniform sample is
 * kept as candidates come (a reservoir), so that memory grows with the sample alone; it gets smaller where
 * its histories would not fit.
 */
export class CaseSample {
  candidates = 0;
  private readonly all = new NumberList(Int32Array);
  private readonly reservoir: number[] = [];
  private readonly random: Random;
  private readonly maxCases: number | undefined;

  /** @param stream names the random numbers of the sample. */
  constructor(stream: EvaluationPart | `knowing-${number}`, { maxCases, seed = 0 }: CaseSampling) {
    if (maxCases !== undefined && (!Number.isInteger(maxCases) || maxCases < 1))
      throw new InvalidConfig({ detail: `maxCases is ${maxCases}; wanted a whole number from 1.` });
    this.maxCases = maxCases;
    this.random = createRandom(seed).fork(`cases/${stream}`);
  }

  /** Offers the event at `position` as a case. */
  add(position: number): void {
    this.candidates++;
    if (this.maxCases === undefined) this.all.push(position);
    else if (this.reservoir.length < this.maxCases) this.reservoir.push(position);
    else {
      const place = this.random.int(this.candidates);
      if (place < this.maxCases) this.reservoir[place] = position;
    }
  }

  /** Positions of the chosen events, in data order. */
  finish({ offsets }: SequenceDataset): Int32Array {
    if (this.maxCases === undefined) return this.all.finish();
    const shuffled = this.random.shuffle(Int32Array.from(this.reservoir));
    let entries = 0;
    const first = shuffled.findIndex((position) => {
      entries += position - offsets[rowOf(offsets, position)]!;
      return entries > MAX_SAMPLED_ENTRIES;
    });
    return shuffled.slice(0, first < 0 ? undefined : first).sort();
  }
}

/** The case of every event at `positions` (in data order), its history without the items not kept. */
export function casesAt(
  dataset: SequenceDataset,
  positions: Int32Array,
  keep: ((item: number) => boolean) | null = null,
): EvaluationCases {
  const items = inOrder(dataset.items);
  const user = new Int32Array(positions.length);
  const historyOffsets = new Int32Array(positions.length + 1);
  const history = new NumberList(Int32Array);
  const target = new Int32Array(positions.length);
  const times = dataset.times === null ? null : inOrder(dataset.times);
  const targetTimes = new Float64Array(times === null ? 0 : positions.length);
  positions.forEach((position, c) => {
    user[c] = rowOf(dataset.offsets, position);
    const events = items.subarray(dataset.offsets[user[c]!]!, position + 1);
    for (let e = 0; e < events.length - 1; e++)
      if (keep === null || keep(events[e]!)) history.push(events[e]!);
    if (history.length > MAX_HISTORY_ENTRIES)
      throw new InvalidConfig({
        detail: `The cases' histories exceed ${MAX_HISTORY_ENTRIES} events; set maxCases to sample.`,
      });
    historyOffsets[c + 1] = history.length;
    target[c] = events[events.length - 1]!;
    if (times !== null) targetTimes[c] = times.subarray(position, position + 1)[0]!;
  });
  const cases = { user, historyOffsets, history: history.finish(), target, positions };
  return times === null ? cases : { ...cases, times: targetTimes };
}

/** The same questions to somebody who knows no more of each history than its newest `events` events. */
export function shortened(cases: EvaluationCases, events: number): EvaluationCases {
  const { historyOffsets: offsets, history } = cases;
  const historyOffsets = new Int32Array(offsets.length);
  const kept = new NumberList(Int32Array);
  for (let c = 0; c + 1 < offsets.length; c++) {
    const end = offsets[c + 1]!;
    for (let h = Math.max(offsets[c]!, end - events); h < end; h++) kept.push(history[h]!);
    historyOffsets[c + 1] = kept.length;
  }
  return { ...cases, historyOffsets, history: kept.finish() };
}
