/**
 * The quality table: the model at every size and early exit beside the baselines, on validation and test cases, with
 * the whole catalogue and with seen items masked.
 *
 * All scorers answer the same cases under the same tie rule. Nothing is chosen here: choosing is
 * training's, and it looks at validation cases only.
 */
import type { QualityRow } from '@nestrec/contracts';
import type { EvaluationPart, Split } from '@nestrec/dataset';
import {
  caseScorerOf,
  fitCooccurrence,
  fitMarkov,
  fitPopularity,
  metricsOfRanks,
  normaliseRows,
  type Answers,
  type CaseScorer,
  type AskedCases,
  type Scorer,
} from '@nestrec/evaluation';
import { askedOf } from './seen-items.js';
import type { TrainedModel } from './trained-model.js';
import { modelScorer, newestItemScorer } from './vector-scorer.js';

/** Ranks of the same cases under one scorer. */
export type ScorerRanks = Omit<Answers, 'lists'> & {
  /** Of an early exit of the model; absent: at full depth, or no model. */
  readonly blocks?: number;
};

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

/**
 * Ranks every case of a part under the model at each size and under each baseline.
 *
 * @param trained baselines that were trained: they answer many cases at once.
 */
export function rankPart(
  input: ReportInput,
  part: EvaluationPart,
  baselines: readonly Scorer[],
  trained: readonly CaseScorer[] = [],
): ScorerRanks[] {
  const { model, text, numItems } = input;
  const asked = askedOf(input.split.cases(part), numItems);
  const scorers = [
    ...baselines.map((baseline) => caseScorerOf(baseline, numItems)),
    ...(text === null
      ? []
      : [newestItemScorer('text-cosine', normaliseRows(text.vectors, text.width), text.width)]),
    ...trained,
  ];
  return [
    ...(model === null ? [] : modelRanks(model, asked, input.maxLength)),
    ...scorers.flatMap((scorer) => scorer.answer(asked, null)),
  ];
}

/** At every size, and then at every early exit. */
function modelRanks(model: TrainedModel, asked: AskedCases, maxLength: number): ScorerRanks[] {
  const { exits = [] } = model.config;
  return [
    ...modelScorer(model, maxLength).answer(asked, null),
    ...exits.flatMap((exit) =>
      modelScorer(model, maxLength, exit)
        .answer(asked, null)
        .map((answers) => ({ ...answers, blocks: exit.blocks })),
    ),
  ];
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
  return ranks.flatMap(({ scorer, dim, blocks, all, masked }) =>
    [true, false].map((seenMasked) => {
      const chosen = choose(seenMasked ? masked : all);
      const metrics = metricsOfRanks(chosen);
      const depth = blocks === undefined ? {} : { blocks };
      return { scorer, dim, ...depth, protocol, part, seenMasked, cases: chosen.length, metrics };
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
