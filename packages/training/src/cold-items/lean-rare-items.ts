/**
 * Items with few training events lean on items like them: at the end of a training the residual R of an item with n events
 * becomes `(n R + c F) / (n + c)`, F the mean of those of the often taken items most like it, as a cold item would be
 * filled from them (decision 0042). How many events the likeness is worth, c, is chosen by validation events.
 */
import type { FeatureSpec, NamedArrays } from '@nestrec/contracts';
import type { Split } from '@nestrec/dataset';
import { countItems } from '@nestrec/evaluation';
import { residualFrom, type Likeness, type LikeItems } from '@nestrec/features';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { limitCases } from '../evaluation-report/answered-cases.js';
import { fitLikeness } from './fit-likeness.js';
import { likestRows } from './likest-rows.js';
import { mean, ndcgWith, type RankedBy } from './ndcg-with.js';

/** What likeness may be worth, in events; beyond, others lose more than rare items gain (docs/experiments.md). */
const WORTHS = [2, 5, 10, 20];
/** With fewer validation events chance would choose. */
const MIN_CASES = 50;
/** Pairs of rare and often taken items that are compared, at most: then only the most taken ones are asked. */
const MOST_PAIRS = 2e9;
/** Every neighbour counts in full: there is none without residual beside them. */
const IN_FULL = { strength: 1, threshold: -1 };

export interface LeanRareItemsInput extends RankedBy {
  /** As `trainModel` gave them: for raw features. */
  readonly parameters: NamedArrays;
  readonly spec: FeatureSpec;
  readonly split: Split;
  readonly seed: number;
  /** Default: fitted to the features. */
  readonly likeness?: Likeness | undefined;
  /** Rows that lean already, or that were learned from events which this training does not see. Default: none. */
  readonly learnedBefore?: ((row: number) => boolean) | undefined;
}

export interface LeanChoice {
  /** c: how many events the likeness counts as; 0 = every item keeps what it has learned. */
  readonly worth: number;
  /** Items that may lean. */
  readonly items: number;
  /** Validation events that it was chosen by. */
  readonly cases: number;
  /** NDCG@10 by size of those, seen items masked, as trained and as chosen; null where there were too few. */
  readonly measured: {
    readonly trained: readonly number[];
    readonly chosen: readonly number[];
  } | null;
}

export interface LeanedItems {
  readonly parameters: NamedArrays;
  /** Undefined where no item may lean. */
  readonly choice?: LeanChoice | undefined;
}

/** Needs a TensorFlow.js backend. */
export function leanRareItems(input: LeanRareItemsInput): LeanedItems {
  const { config, settings, parameters, features, spec, split } = input;
  const { neighbours, rareBelow } = settings.coldItems;
  const residual = parameters.get(ITEM_RESIDUAL);
  if (residual === undefined || config.featureWidth === 0 || neighbours === 0)
    return { parameters };
  const counts = countItems(split.train, config.numItems).subarray(1);
  const { rare, often } = groups(counts, rareBelow, input.learnedBefore);
  if (rare.length === 0 || often.length === 0) return { parameters };
  const all = split.cases('validation');
  const cases = limitCases(
    all,
    settings.evaluationCases || all.target.length,
    createRandom(input.seed).fork('rare-items'),
  );
  const about = { items: rare.length, cases: cases.target.length };
  if (about.cases < MIN_CASES)
    return { parameters, choice: { worth: 0, ...about, measured: null } };
  const likeness = input.likeness ?? fitLikeness(features, config.featureWidth, spec);
  const compared = { features, rowWidth: config.featureWidth, spec, likeness };
  const found = likestRows(compared, rare, often, neighbours);
  const measure = (tried: NamedArrays) => ndcgWith(tried, input, [cases])[0]!;
  const trained = measure(parameters);
  let best = { worth: 0, parameters, measured: trained };
  for (const worth of WORTHS) {
    const leaned = leaning(input, { rare, found, counts, worth });
    const measured = measure(leaned);
    if (mean(measured) > mean(best.measured)) best = { worth, parameters: leaned, measured };
  }
  const measured = { trained, chosen: best.measured };
  return { parameters: best.parameters, choice: { worth: best.worth, ...about, measured } };
}

/** Rows with few events, and those that they may lean on, most taken first. */
function groups(
  counts: ArrayLike<number>,
  rareBelow: number,
  learnedBefore: (row: number) => boolean = () => false,
): { rare: number[]; often: number[] } {
  const rows = Array.from(counts, (_, row) => row);
  const rare = rows.filter(
    (row) => counts[row]! > 0 && counts[row]! < rareBelow && !learnedBefore(row),
  );
  const often = rows
    .filter((row) => counts[row]! >= rareBelow)
    .sort((a, b) => counts[b]! - counts[a]!);
  return { rare, often: often.slice(0, Math.floor(MOST_PAIRS / Math.max(1, rare.length))) };
}

interface Leaning {
  readonly rare: readonly number[];
  /** What each of them is like. */
  readonly found: readonly LikeItems[];
  /** Training events by row. */
  readonly counts: ArrayLike<number>;
  readonly worth: number;
}

/** The parameters with these rows of R leaning; what is like nothing stays. */
function leaning(
  { config, settings, parameters }: LeanRareItemsInput,
  { rare, found, counts, worth }: Leaning,
): NamedArrays {
  const width = config.sizes.at(-1)!;
  const { temperature } = settings.coldItems;
  const { shape, data } = parameters.get(ITEM_RESIDUAL)!;
  const leaned = data.slice();
  rare.forEach((row, at) => {
    const like = residualFrom({ residual: data, width }, found[at]!, { ...IN_FULL, temperature });
    if (like === null) return;
    const own = counts[row]! / (counts[row]! + worth);
    for (let d = 0; d < width; d++)
      leaned[row * width + d] = own * data[row * width + d]! + (1 - own) * like[d]!;
  });
  return new Map(parameters).set(ITEM_RESIDUAL, { shape, data: leaned });
}
