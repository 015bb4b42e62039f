/**
 * Global temporal split: two points in time cut all users at once, so training never sees anything that
 * happened after the first cut. Every event after a cut is one case, with all that its user did before it
 * as history. The headline figure for real use.
 */
import { InsufficientData, InvalidConfig } from '@nestrec/errors';
import { casesAt, CaseSample, trainPrefixes, type CaseSampling } from './cases.js';
import type { Histories } from './histories.js';
import { inOrder, type Numbers } from './numbers.js';
import { numberAtRank } from './order-statistics.js';
import type { EvaluationPart, SequenceDataset, Split, SplitReport } from './types.js';

export type TemporalCuts =
  /** Epoch milliseconds: validation is [validationFromMs, testFromMs), test everything from testFromMs. */
  | { readonly validationFromMs: number; readonly testFromMs: number }
  /** Shares of all events by time; events at the very instant of a cut fall behind it. */
  | { readonly validationFraction: number; readonly testFraction: number };

export interface TemporalSplitOptions extends CaseSampling {
  /**
   * Items that no training event has: 'drop' removes them as targets and from histories (counting
   * baselines and id-only models cannot know them); 'keep' asks about them too (an item with features can
   * be recommended cold). Default 'drop'. The report lists and counts them in both cases.
   */
  readonly unknownItems?: 'drop' | 'keep';
  /** Cases with a shorter history (after dropping) are not asked. Default 1. */
  readonly minHistory?: number;
}

/** @throws InsufficientData when there are no real times, or a part would be empty. */
export function splitTemporal(
  dataset: SequenceDataset,
  cuts: TemporalCuts,
  options: TemporalSplitOptions = {},
): Split {
  const times = dataset.times;
  if (times === null)
    throw new InsufficientData({
      detail: 'The data have no real times, only an order; use the leave-one-out split.',
    });
  const resolved = resolveCuts(times, cuts);
  const timesInOrder = inOrder(times);
  const train = trainPrefixes(dataset, (u) =>
    countBefore(
      timesInOrder.subarray(dataset.offsets[u]!, dataset.offsets[u + 1]!),
      resolved.validationFromMs,
    ),
  );
  if (train.events === 0)
    throw new InsufficientData({
      detail: `No event lies before the validation cut ${new Date(resolved.validationFromMs).toISOString()}.`,
    });
  const known = itemsOf(train, dataset.itemIds.length);
  const keep = options.unknownItems === 'keep' ? null : (item: number) => known[item] === 1;
  const part: TrainingPart = { train, known, keep, options };
  const held = heldOut(dataset, times, resolved.testFromMs, part);
  return {
    protocol: 'temporal',
    train,
    cases: (part) => casesAt(dataset, held.sampled[part], keep),
    casesKnowing: (events) =>
      casesAt(dataset, newUsersAfter(dataset, times, resolved.testFromMs, events, part), keep),
    report: {
      protocol: 'temporal',
      users: train.rows,
      trainEvents: train.events,
      ...held.report,
      ...resolved,
    },
  };
}

interface TrainingPart {
  readonly train: Histories;
  /** 1 for items of a training event. */
  readonly known: Uint8Array;
  /** Which items are asked about and stay in histories; null: all. */
  readonly keep: ((item: number) => boolean) | null;
  readonly options: TemporalSplitOptions;
}

/** Goes through the events behind the cut once: which are asked about, and what became of the others. */
function heldOut(
  dataset: SequenceDataset,
  times: Numbers<Float64Array>,
  testFromMs: number,
  { train, known, keep, options }: TrainingPart,
) {
  const minHistory = options.minHistory ?? 1;
  const samples = {
    validation: new CaseSample('validation', options),
    test: new CaseSample('test', options),
  };
  const unknown = new Set<number>();
  let [droppedUnknownEvents, droppedShortHistory, usersOnlyInTraining] = [0, 0, 0];
  const [itemsInOrder, timesInOrder] = [inOrder(dataset.items), inOrder(times)];
  for (let u = 0; u < train.rows; u++) {
    const [from, to] = [train.end[u]!, dataset.offsets[u + 1]!];
    if (from === to) usersOnlyInTraining++;
    const items = itemsInOrder.subarray(from, to);
    const itemTimes = timesInOrder.subarray(from, to);
    // Everything before the cut is known, and thus kept.
    let usable = from - train.begin[u]!;
    items.forEach((item, e) => {
      if (known[item] === 0) unknown.add(item);
      if (keep !== null && !keep(item)) return void droppedUnknownEvents++;
      if (usable < minHistory) droppedShortHistory++;
      else samples[itemTimes[e]! >= testFromMs ? 'test' : 'validation'].add(from + e);
      usable++;
    });
  }
  const finish = (part: EvaluationPart) => {
    const positions = samples[part].finish(dataset);
    if (positions.length > 0) return positions;
    throw new InsufficientData({
      detail: `The temporal split has no ${part} case; move the cuts, or import more events.`,
    });
  };
  const sampled = { validation: finish('validation'), test: finish('test') };
  const [validationCases, testCases] = [sampled.validation.length, sampled.test.length];
  const candidates = samples.validation.candidates + samples.test.candidates;
  const report = {
    ...{ validationCases, testCases, usersOnlyInTraining },
    unknownItems: Int32Array.from(unknown).sort(),
    ...{ droppedUnknownEvents, droppedShortHistory },
    droppedBySample: candidates - validationCases - testCases,
  } satisfies Partial<SplitReport>;
  return { sampled, report };
}

/**
 * Where users without a training event did what follows their first `events` events (of items that are kept), if they
 * did it in the time of the test part.
 */
function newUsersAfter(
  dataset: SequenceDataset,
  times: Numbers<Float64Array>,
  testFromMs: number,
  events: number,
  { train, keep, options }: TrainingPart,
): Int32Array {
  const sample = new CaseSample(`knowing-${events}`, options);
  const [itemsInOrder, timesInOrder] = [inOrder(dataset.items), inOrder(times)];
  for (let u = 0; u < train.rows; u++) {
    const [from, to] = [dataset.offsets[u]!, dataset.offsets[u + 1]!];
    if (train.end[u]! > from) continue;
    const items = itemsInOrder.subarray(from, to);
    let before = 0;
    const next = items.findIndex((item) => (keep === null || keep(item)) && before++ === events);
    if (next < 0) continue;
    const at = from + next;
    if (timesInOrder.subarray(at, at + 1)[0]! >= testFromMs) sample.add(at);
  }
  return sample.finish(dataset);
}

function resolveCuts(
  times: Numbers<Float64Array>,
  cuts: TemporalCuts,
): { validationFromMs: number; testFromMs: number } {
  if ('validationFromMs' in cuts) {
    if (!(cuts.validationFromMs < cuts.testFromMs))
      throw new InvalidConfig({
        detail: `validationFromMs ${cuts.validationFromMs} is not before testFromMs ${cuts.testFromMs}.`,
      });
    return cuts;
  }
  const { validationFraction: v, testFraction: t } = cuts;
  if (!(v > 0 && t > 0 && v + t < 1))
    throw new InvalidConfig({
      detail: `Fractions are ${v} and ${t}; wanted both above 0 and together below 1.`,
    });
  const at = (fraction: number) =>
    numberAtRank(times, Math.min(times.length - 1, Math.floor(times.length * fraction)));
  const validationFromMs = at(1 - v - t);
  const testFromMs = at(1 - t);
  if (validationFromMs === testFromMs || validationFromMs === at(0))
    throw new InsufficientData({
      detail: 'Too many events share one time for cuts at these fractions; give the cuts as times.',
    });
  return { validationFromMs, testFromMs };
}

/** How many of these ascending times lie before the cut: a user's events are ordered by time. */
function countBefore(times: Float64Array, cutMs: number): number {
  let count = 0;
  while (count < times.length && times[count]! < cutMs) count++;
  return count;
}

/** 1 for every item that occurs. */
function itemsOf(histories: Histories, itemCount: number): Uint8Array {
  const occurs = new Uint8Array(itemCount + 1);
  for (const items of histories) for (const item of items) occurs[item] = 1;
  return occurs;
}
