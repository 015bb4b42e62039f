/**
 * Global temporal split: two points in time cut all users at once, so training never sees anything that
 * happened after the first cut. Every event after a cut is one case, with all that its user did before it
 * as history. The headline figure for real use.
 */
import { InsufficientData, InvalidConfig } from '@nestrec/errors';
import { caseBuilder, sampleCases, trainPrefixes, type CaseSampling } from './cases.js';
import type { EvaluationPart, SequenceDataset, Split } from './types.js';

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
  const { validationFromMs, testFromMs } = resolveCuts(times, cuts);
  const trainLengths = prefixLengths(dataset, times, validationFromMs);
  const train = trainPrefixes(dataset, (u) => trainLengths[u]!);
  if (train.items.length === 0)
    throw new InsufficientData({
      detail: `No event lies before the validation cut ${new Date(validationFromMs).toISOString()}.`,
    });
  const known = new Uint8Array(dataset.itemIds.length + 1);
  for (const item of train.items) known[item] = 1;
  const keep = options.unknownItems === 'keep' ? () => true : (item: number) => known[item] === 1;
  const minHistory = options.minHistory ?? 1;

  const found: Record<EvaluationPart, number[]> = { validation: [], test: [] };
  const userOf = userOfEvent(dataset);
  let droppedUnknownEvents = 0;
  let droppedShortHistory = 0;
  for (let u = 0; u < dataset.offsets.length - 1; u++) {
    let usable = 0;
    for (let e = dataset.offsets[u]!; e < dataset.offsets[u + 1]!; e++) {
      const item = dataset.items[e]!;
      if (times[e]! >= validationFromMs) {
        if (!keep(item)) droppedUnknownEvents++;
        else if (usable < minHistory) droppedShortHistory++;
        else found[times[e]! >= testFromMs ? 'test' : 'validation'].push(e);
      }
      if (keep(item)) usable++;
    }
  }
  const sampled = {
    validation: sampleCases(Int32Array.from(found.validation), 'validation', options),
    test: sampleCases(Int32Array.from(found.test), 'test', options),
  };
  for (const part of ['validation', 'test'] as const)
    if (sampled[part].length === 0)
      throw new InsufficientData({
        detail: `The temporal split has no ${part} case; move the cuts, or import more events.`,
      });
  const cases = (part: EvaluationPart) => {
    const builder = caseBuilder();
    for (const e of sampled[part]) {
      const u = userOf(e);
      builder.add(
        u,
        dataset.items.subarray(dataset.offsets[u]!, e).filter(keep),
        dataset.items[e]!,
      );
    }
    return builder.finish();
  };
  return {
    protocol: 'temporal',
    train,
    cases,
    report: {
      protocol: 'temporal',
      users: dataset.userIds.length,
      trainEvents: train.items.length,
      validationCases: sampled.validation.length,
      testCases: sampled.test.length,
      usersOnlyInTraining: countUsersOnlyInTraining(dataset, trainLengths),
      unknownItems: unknownItemsOf(dataset, known),
      droppedUnknownEvents,
      droppedShortHistory,
      droppedBySample:
        found.validation.length +
        found.test.length -
        sampled.validation.length -
        sampled.test.length,
      validationFromMs,
      testFromMs,
    },
  };
}

function resolveCuts(
  times: Float64Array,
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
  const sorted = Float64Array.from(times).sort();
  const at = (fraction: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))]!;
  const validationFromMs = at(1 - v - t);
  const testFromMs = at(1 - t);
  if (validationFromMs === testFromMs || validationFromMs === sorted[0])
    throw new InsufficientData({
      detail: 'Too many events share one time for cuts at these fractions; give the cuts as times.',
    });
  return { validationFromMs, testFromMs };
}

/** A user's events are ordered by time, so training is a prefix of each. */
function prefixLengths(dataset: SequenceDataset, times: Float64Array, cutMs: number): Int32Array {
  const lengths = new Int32Array(dataset.offsets.length - 1);
  for (let u = 0; u < lengths.length; u++) {
    let e = dataset.offsets[u]!;
    while (e < dataset.offsets[u + 1]! && times[e]! < cutMs) e++;
    lengths[u] = e - dataset.offsets[u]!;
  }
  return lengths;
}

function userOfEvent(dataset: SequenceDataset): (event: number) => number {
  const users = new Int32Array(dataset.items.length);
  for (let u = 0; u < dataset.offsets.length - 1; u++)
    users.fill(u, dataset.offsets[u], dataset.offsets[u + 1]);
  return (event) => users[event]!;
}

function countUsersOnlyInTraining(dataset: SequenceDataset, trainLengths: Int32Array): number {
  let count = 0;
  trainLengths.forEach((length, u) => {
    if (length === dataset.offsets[u + 1]! - dataset.offsets[u]!) count++;
  });
  return count;
}

/** Items that occur in the data, but in no training event. */
function unknownItemsOf(dataset: SequenceDataset, known: Uint8Array): Int32Array {
  const unknown = new Set<number>();
  for (const item of dataset.items) if (known[item] === 0) unknown.add(item);
  return Int32Array.from(unknown).sort();
}
