/**
 * The quality table: the model at every size beside the baselines, on validation and test cases, with
 * the whole catalogue and with seen items masked.
 *
 * All scorers answer the same cases under the same tie rule. Nothing is chosen here: choosing is
 * training's, and it looks at validation cases only.
 */
import type { QualityRow } from '@nestrec/contracts';
import {
  historiesOf,
  type EvaluationCases,
  type EvaluationPart,
  type Split,
} from '@nestrec/dataset';
import {
  fitCooccurrence,
  fitMarkov,
  fitPopularity,
  metricsOfRanks,
  normaliseRows,
  rankOfTarget,
  type Scorer,
} from '@nestrec/evaluation';

import { createRanker } from '@nestrec/tensor';
import { seenItems, type SeenItems } from './seen-items.js';
import type { TrainedModel } from './trained-model.js';

/** Ranks of the same cases under one scorer. */
export interface ScorerRanks {
  readonly scorer: string;
  readonly dim: number | null;
  /** Among the whole catalogue. */
  readonly all: Int32Array;
  /** With the other items of the case's history left out. */
  readonly masked: Int32Array;
}

export interface ReportInput {
  readonly split: Split;
  readonly numItems: number;
  /** Null reports the baselines alone. */
  readonly model: TrainedModel | null;
  /** Raw text vectors N x width for the text-cosine baseline, or null when there are none. */
  readonly text: { readonly vectors: Float32Array; readonly width: number } | null;
  /** Newest events of a history that the model is shown. */
  readonly maxLength: number;
}

/** The counting baselines, fitted to the training events. */
export function fitBaselines({ split, numItems }: ReportInput): Scorer[] {
  return [fitPopularity, fitMarkov, fitCooccurrence].map((fit) => fit(split.train, numItems));
}

/** Ranks every case of a part under the model at each size and under each baseline. */
export function rankPart(
  input: ReportInput,
  part: EvaluationPart,
  baselines: readonly Scorer[],
): ScorerRanks[] {
  const cases = input.split.cases(part);
  const seen = seenItems(cases, input.numItems);
  const ranks: ScorerRanks[] = [];
  if (input.model) ranks.push(...rankModel(input.model, cases, seen, input.maxLength));
  for (const scorer of baselines) ranks.push(rankScorer(scorer, cases, seen, input.numItems));
  if (input.text) ranks.push(rankText(input.text, cases, seen));
  return ranks;
}

/** The rows of a table from ranks; `subset` keeps only some cases (a group of them). */
export function qualityRows(
  ranks: readonly ScorerRanks[],
  split: Split,
  part: EvaluationPart,
  subset: Int32Array | null = null,
): QualityRow[] {
  const choose = (values: Int32Array) => (subset ? subset.map((c) => values[c]!) : values);
  const { protocol } = split;
  return ranks.flatMap(({ scorer, dim, all, masked }) =>
    [true, false].map((seenMasked) => {
      const chosen = choose(seenMasked ? masked : all);
      const metrics = metricsOfRanks(chosen);
      return { scorer, dim, protocol, part, seenMasked, cases: chosen.length, metrics };
    }),
  );
}

export interface QualityReport {
  /** Both parts, all scorers, masked and not. */
  readonly quality: QualityRow[];
  /** Ranks of the test cases, for comparisons case by case. */
  readonly testRanks: readonly ScorerRanks[];
}

export function reportWithRanks(input: ReportInput): QualityReport {
  const baselines = fitBaselines(input);
  const validation = qualityRows(
    rankPart(input, 'validation', baselines),
    input.split,
    'validation',
  );
  const testRanks = rankPart(input, 'test', baselines);
  return { quality: [...validation, ...qualityRows(testRanks, input.split, 'test')], testRanks };
}

/** The whole report: both parts, all scorers, masked and not. */
export function reportQuality(input: ReportInput): QualityRow[] {
  return reportWithRanks(input).quality;
}

function rankModel(
  model: TrainedModel,
  cases: EvaluationCases,
  seen: SeenItems,
  maxLength: number,
): ScorerRanks[] {
  const { all, masked } = model.rank(cases, seen, maxLength);
  return model.config.sizes.map((dim, k) => ({
    scorer: `model@${dim}`,
    dim,
    all: all[k]!,
    masked: masked[k]!,
  }));
}

function rankScorer(
  scorer: Scorer,
  cases: EvaluationCases,
  seen: SeenItems,
  numItems: number,
): ScorerRanks {
  const scores = new Float32Array(numItems + 1);
  const histories = historiesOf(cases);
  const all = new Int32Array(cases.target.length);
  const masked = new Int32Array(cases.target.length);
  for (let c = 0; c < all.length; c++) {
    const from = histories.offsets[c]!;
    scorer.score(histories.items.subarray(from, histories.offsets[c + 1]), scores);
    const target = cases.target[c]!;
    all[c] = rankOfTarget(scores, target);
    let before = 0;
    for (let s = seen.offsets[c]!; s < seen.offsets[c + 1]!; s++) {
      if (!(scores[seen.items[s]!]! < scores[target]!)) before++;
    }
    masked[c] = all[c]! - before;
  }
  return { scorer: scorer.name, dim: null, all, masked };
}

/** Cosine to the newest item: item features as queries and as items, on the backend. */
function rankText(
  text: NonNullable<ReportInput['text']>,
  cases: EvaluationCases,
  seen: SeenItems,
): ScorerRanks {
  const { width } = text;
  const table = normaliseRows(text.vectors, width);
  const queries = new Float32Array(cases.target.length * width);
  for (let c = 0; c < cases.target.length; c++) {
    const end = cases.historyOffsets[c + 1]!;
    if (end === cases.historyOffsets[c]) continue;
    const row = (cases.history[end - 1]! - 1) * width;
    queries.set(table.subarray(row, row + width), c * width);
  }
  const ranker = createRanker(table, [width]);
  try {
    const ranks = ranker.rank({
      queries,
      targets: cases.target,
      seenOffsets: seen.offsets,
      seen: seen.items,
    });
    return { scorer: 'text-cosine', dim: null, all: ranks.all[0]!, masked: ranks.masked[0]! };
  } finally {
    ranker.dispose();
  }
}
