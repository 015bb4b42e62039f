/**
 * Items that a training never heard of: a split without some of its items, and what a model trained on the rest makes of
 * events whose target is one of them.
 */
import type { ColdItems, FeatureSpec, ModelConfig, NamedArrays } from '@nestrec/contracts';
import { Histories, type EvaluationCases, type Split } from '@nestrec/dataset';
import { metricsOfRanks } from '@nestrec/evaluation';
import { createColdFill, type Likeness } from '@nestrec/features';
import { embedItem, ITEM_RESIDUAL } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { rankAmongServed } from '@nestrec/training';

export interface ColdSplit {
  /** Of the items that stay, numbered anew in their order. */
  readonly split: Split;
  /** Their former ids, ascending: new id i is `warm[i - 1]`. */
  readonly warm: Int32Array;
  /** Former ids of the items that were taken out, ascending. */
  readonly cold: Int32Array;
}

/** Takes a share of the items out, chosen by `seed`: their events, and the cases that ask for them. */
export function withoutItems(
  split: Split,
  numItems: number,
  share: number,
  seed: number,
): ColdSplit {
  const ids = Int32Array.from({ length: numItems }, (_, i) => i + 1);
  const cold = createRandom(seed)
    .fork('cold')
    .shuffle(ids.slice())
    .slice(0, Math.round(share * numItems))
    .sort();
  const isCold = new Set(cold);
  const warm = ids.filter((id) => !isCold.has(id));
  const place = new Int32Array(numItems + 1);
  warm.forEach((id, i) => (place[id] = i + 1));
  const renumbered = (rows: Iterable<Int32Array>) => {
    const offsets = [0];
    const items: number[] = [];
    for (const row of rows) {
      for (const item of row) if (place[item] !== 0) items.push(place[item]!);
      offsets.push(items.length);
    }
    return { offsets: Int32Array.from(offsets), items: shared(items) };
  };
  const casesOf = (part: 'validation' | 'test'): EvaluationCases => {
    const cases = chosen(split.cases(part), (target) => place[target] !== 0);
    const { offsets, items } = renumbered(historiesIn(cases));
    return {
      ...{ user: cases.user, historyOffsets: offsets, history: items },
      target: cases.target.map((target) => place[target]!),
    };
  };
  const train = Histories.of(renumbered(split.train));
  return { split: { ...split, train, cases: casesOf }, warm, cold };
}

/** Threads of a training read it. */
function shared(values: readonly number[]): Int32Array {
  const array = new Int32Array(new SharedArrayBuffer(4 * values.length));
  array.set(values);
  return array;
}

function* historiesIn({ historyOffsets, history }: EvaluationCases): Generator<Int32Array> {
  for (let c = 0; c + 1 < historyOffsets.length; c++)
    yield history.subarray(historyOffsets[c]!, historyOffsets[c + 1]!);
}

/** The cases whose target is wanted. */
export function chosen(
  cases: EvaluationCases,
  wanted: (target: number) => boolean,
): EvaluationCases {
  const indexes = Array.from(cases.target.keys()).filter((c) => wanted(cases.target[c]!));
  const all = [...historiesIn(cases)];
  const historyOffsets = [0];
  const history = indexes.flatMap((c) => {
    historyOffsets.push(historyOffsets.at(-1)! + all[c]!.length);
    return [...all[c]!];
  });
  return {
    user: Int32Array.from(indexes, (c) => cases.user[c]!),
    target: Int32Array.from(indexes, (c) => cases.target[c]!),
    historyOffsets: Int32Array.from(historyOffsets),
    history: Int32Array.from(history),
  };
}

export interface ColdModel {
  /** Of the warm items alone. */
  readonly config: ModelConfig;
  readonly parameters: NamedArrays;
  readonly spec: FeatureSpec;
  /** Of all items by their former ids, N x F. */
  readonly features: Float32Array;
  /** What its training says of cold items; without it they have features alone. */
  readonly coldItems?: ColdItems | undefined;
  readonly likeness?: Likeness | undefined;
}

/**
 * Vectors of all items by their former ids, N x D: cold ones as publishing would embed them.
 * @param strength of their fill; default: as the training chose it
 */
export async function allVectors(
  { config, parameters, spec, features, coldItems, likeness }: ColdModel,
  { warm, cold }: ColdSplit,
  strength = coldItems?.strength ?? 0,
): Promise<Float32Array> {
  const width = config.sizes.at(-1)!;
  const rowWidth = config.featureWidth;
  const featureOf = (id: number) => features.subarray((id - 1) * rowWidth, id * rowWidth);
  const residual = parameters.get(ITEM_RESIDUAL)?.data;
  const vectors = new Float32Array((warm.length + cold.length) * width);
  const put = (id: number, own: Float32Array | undefined) =>
    vectors.set(embedItem(config, parameters, featureOf(id), own), (id - 1) * width);
  warm.forEach((id, row) => put(id, residual?.subarray(row * width, (row + 1) * width)));
  const fill =
    residual === undefined || coldItems === undefined
      ? null
      : await createColdFill(
          {
            ...{ features: rowsOf(features, warm, rowWidth), spec, likeness: likeness! },
            ...{ residual, width, rows: warm.keys() },
          },
          { ...coldItems, strength },
        );
  for (const id of cold) put(id, fill?.residualOf(featureOf(id)) ?? undefined);
  return vectors;
}

/** The features of these items, in their order. */
export function rowsOf(features: Float32Array, ids: Int32Array, width: number): Float32Array {
  const rows = new Float32Array(ids.length * width);
  ids.forEach((id, row) => rows.set(features.subarray((id - 1) * width, id * width), row * width));
  return rows;
}

/** NDCG@10 by size of cases by former ids, seen items masked, among all items. */
export function ndcgAmong(
  vectors: Float32Array,
  { config, parameters }: ColdModel,
  cases: EvaluationCases,
): number[] {
  const numItems = vectors.length / config.sizes.at(-1)!;
  const ids = Int32Array.from({ length: numItems }, (_, i) => i + 1);
  const served = { config, parameters, ids, vectors: vectors.slice(), maxLength: 50 };
  return rankAmongServed(served, cases, numItems).masked.map(
    (ranks) => metricsOfRanks(ranks, [10])['ndcg@10']!,
  );
}
