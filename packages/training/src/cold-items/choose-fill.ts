/**
 * How strongly items that a model has not learned are filled from learned ones, and how alike these have to be. Learned
 * items are held out: their residuals are taken away and filled as a cold item's is, and the choice is what ranks the
 * events of these items best while it costs those of others little.
 */
import type { ColdItems, ModelConfig, NamedArrays } from '@nestrec/contracts';
import type { Split } from '@nestrec/dataset';
import { indexLikeItems, residualFrom, type LearnedItems, type LikeItems } from '@nestrec/features';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import type { Random } from '@nestrec/random';
import { limitCases } from '../evaluation-report/answered-cases.js';
import type { TrainingSettings } from '../settings.js';
import { mean, ndcgWith } from './ndcg-with.js';

/** What is tried, ascending: beyond, others lose more than is gained (docs/experiments.md). */
const STRENGTHS = Array.from({ length: 25 }, (_, n) => 0.5 + n / 16);
/** Thresholds tried besides none: what so large a share of the held-out items has no likelier item than. */
const THRESHOLD_QUANTILES = [0.6, 0.75, 0.9];
const NO_THRESHOLD = -1;
/**
 * Share of NDCG@10, mean over sizes, that events of other items may lose. Without a threshold half of it: then items that
 * no training has seen cost others twice what items held out afterwards do (docs/experiments.md).
 */
const MOST_LOST = 0.01;
const MOST_LOST_WITHOUT_THRESHOLD = MOST_LOST / 2;
/** With fewer events of held-out items chance would choose. */
const MIN_CASES = 50;
/** Then items are filled as much as items that are alike are on average, which hardly shows them. */
const UNMEASURED = { strength: 1, threshold: NO_THRESHOLD } as const;
/** Held-out items, at most: more would not make the choice better. */
const MAX_HELD_OUT = 5_000;

export type Fill = Pick<ColdItems, 'strength' | 'threshold'>;

export interface FillChoice extends Fill {
  /** Events of items held out that it was chosen by. */
  readonly cases: number;
  /** NDCG@10 by size, seen items masked, without fill and with the chosen one; null where there were too few events. */
  readonly measured: { readonly without: FillFigures; readonly chosen: FillFigures } | null;
}

export interface FillFigures {
  /** Of events of items held out. */
  readonly heldOut: readonly number[];
  /** Of events of other items. */
  readonly others: readonly number[];
}

export interface ChooseFillInput {
  readonly config: ModelConfig;
  readonly settings: TrainingSettings;
  readonly parameters: NamedArrays;
  readonly features: Float32Array;
  readonly split: Split;
  readonly random: Random;
}

type Items = Omit<LearnedItems, 'rows'> & { readonly rows: readonly number[] };
/** What each held-out row is like. */
type Neighbours = ReadonlyMap<number, LikeItems>;

export async function chooseFill(input: ChooseFillInput, items: Items): Promise<FillChoice> {
  const { settings, random } = input;
  const { heldOutShare } = settings.coldItems;
  const count = Math.min(MAX_HELD_OUT, Math.round(heldOutShare * items.rows.length));
  const heldOut = random.fork('held-out').shuffle(Int32Array.from(items.rows)).slice(0, count);
  const { asked, others } = questions(input, heldOut);
  const cases = asked.target.length;
  if (cases < MIN_CASES) return { ...UNMEASURED, cases, measured: null };
  const neighbours = await neighboursOf(heldOut, input, items);
  const measure = (fill: Fill): FillFigures => {
    const parameters = filled(input, items, neighbours, fill);
    const [ofHeldOut, ofOthers] = ndcgWith(parameters, input, [asked, others]);
    return { heldOut: ofHeldOut!, others: ofOthers! };
  };
  const none = { strength: 0, threshold: NO_THRESHOLD };
  const without = measure(none);
  const isCheap = (figures: FillFigures, mostLost: number) =>
    mean(figures.others) >= (1 - mostLost) * mean(without.others) &&
    // Items that nobody knows are not to stand better than those that are known.
    mean(figures.heldOut) <= mean(without.others);
  let best: FillFigures & { readonly fill: Fill } = { ...without, fill: none };
  for (const threshold of thresholdsOf(neighbours)) {
    const mostLost = threshold === NO_THRESHOLD ? MOST_LOST_WITHOUT_THRESHOLD : MOST_LOST;
    const found = strongest((strength) => {
      const fill = { strength, threshold };
      const figures = measure(fill);
      return isCheap(figures, mostLost) ? { ...figures, fill } : null;
    });
    if (found !== null && meanOfLogs(found.heldOut) > meanOfLogs(best.heldOut)) best = found;
  }
  const { fill, ...chosen } = best;
  return { ...fill, cases, measured: { without, chosen } };
}

/** A tenth more at a size counts the same at every size, small ones too. */
const meanOfLogs = (values: readonly number[]) =>
  mean(values.map((value) => Math.log(value + Number.EPSILON)));

/** What is found at the greatest strength that is cheap, by halving: what costs too much does so when it is stronger, too. */
function strongest<T>(cheapAt: (strength: number) => T | null): T | null {
  let [cheap, dear] = [-1, STRENGTHS.length];
  let best: T | null = null;
  while (dear - cheap > 1) {
    const middle = (cheap + dear) >> 1;
    const found = cheapAt(STRENGTHS[middle]!);
    if (found === null) dear = middle;
    else [cheap, best] = [middle, found];
  }
  return best;
}

/** Validation events of held-out items, and of others; of either as many as an epoch is judged by. */
function questions({ config, settings, split, random }: ChooseFillInput, heldOut: Int32Array) {
  const isHeldOut = new Uint8Array(config.numItems + 1);
  for (const row of heldOut) isHeldOut[row + 1] = 1;
  const all = split.cases('validation');
  const most = settings.evaluationCases || all.target.length;
  const of = (name: string, wanted: 0 | 1) =>
    limitCases(all, most, random.fork(name), (c) => isHeldOut[all.target[c]!] === wanted);
  return { asked: of('held-out cases', 1), others: of('other cases', 0) };
}

async function neighboursOf(
  heldOut: Int32Array,
  { config, settings }: ChooseFillInput,
  items: Items,
): Promise<Neighbours> {
  const away = new Set(heldOut);
  const rows = items.rows.filter((row) => !away.has(row));
  const index = await indexLikeItems({ ...items, rows });
  const width = config.featureWidth;
  const featureOf = (row: number) => items.features.subarray(row * width, (row + 1) * width);
  const { neighbours } = settings.coldItems;
  return new Map(
    Array.from(heldOut, (row) => [row, index.find(featureOf(row), neighbours)] as const),
  );
}

function thresholdsOf(neighbours: Neighbours): number[] {
  const nearest = [...neighbours.values()]
    .flatMap(({ likeness }) => likeness.slice(0, 1))
    .sort((a, b) => a - b);
  const at = (share: number) => nearest[Math.floor(share * nearest.length)] ?? NO_THRESHOLD;
  return [NO_THRESHOLD, ...THRESHOLD_QUANTILES.map((share) => Number(at(share).toFixed(3)))];
}

/** The parameters with the residuals of held-out items filled. */
function filled(
  { parameters, settings }: ChooseFillInput,
  items: Items,
  neighbours: Neighbours,
  fill: Fill,
): NamedArrays {
  const { shape, data } = parameters.get(ITEM_RESIDUAL)!;
  const residual = data.slice();
  const how = { ...fill, temperature: settings.coldItems.temperature };
  for (const [row, found] of neighbours) {
    const own = residual.subarray(row * items.width, (row + 1) * items.width).fill(0);
    own.set(residualFrom(items, found, how) ?? []);
  }
  return new Map(parameters).set(ITEM_RESIDUAL, { shape, data: residual });
}
