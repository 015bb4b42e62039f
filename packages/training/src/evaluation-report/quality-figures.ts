/**
 * Metrics of all scorers with their intervals, the model beside every baseline case by case, and what each size has of
 * the whole model's quality. One set of draws serves all of them.
 */
import type { Estimate, EvaluationReport, ReportedSize } from '@nestrec/contracts';
import { metricsByCase, resampleByGroup, type Resamples } from '@nestrec/evaluation';
import type { Random } from '@nestrec/random';
import type { AnsweredCases, ReportAnswers } from './answered-cases.js';

export type SizeQuality = Pick<ReportedSize, 'dim' | 'ndcg10' | 'shareOfFull' | 'overSmaller'>;

export interface QualityFigures {
  readonly quality: EvaluationReport['quality'];
  readonly comparisons: EvaluationReport['comparisons'];
  readonly sizes: readonly SizeQuality[];
}

const NDCG = 'ndcg@10';
const RECALL = 'recall@10';

/** The metrics of all answers, resampled together: column of a metric of an answer. */
interface Drawn {
  readonly resamples: Resamples;
  readonly metrics: readonly string[];
  readonly column: (answer: number, metric: string) => number;
}

export function qualityFigures({ cases, answers }: AnsweredCases, random: Random): QualityFigures {
  // The same stream for both, so that they are drawn alike.
  const draw = (ranksOf: (answer: ReportAnswers) => Int32Array) =>
    drawMetrics(answers.map(ranksOf), cases.user, random.fork('quality'));
  const masked = draw((answer) => answer.masked);
  const all = draw((answer) => answer.all);
  const both = [
    { seenMasked: true, drawn: masked },
    { seenMasked: false, drawn: all },
  ];
  return {
    quality: both.flatMap(({ seenMasked, drawn }) => qualityOf(answers, seenMasked, drawn)),
    comparisons: both.flatMap(({ seenMasked, drawn }) => comparisons(answers, seenMasked, drawn)),
    sizes: sizeQualities(answers, masked),
  };
}

function drawMetrics(ranks: readonly Int32Array[], user: Int32Array, random: Random): Drawn {
  const byAnswer = ranks.map((of) => metricsByCase(of));
  const metrics = Object.keys(byAnswer[0]!);
  const columns = byAnswer.flatMap((metric) => Object.values(metric));
  return {
    resamples: resampleByGroup(columns, user, { uniform: () => random.uniform() }),
    metrics,
    column: (answer, metric) => answer * metrics.length + metrics.indexOf(metric),
  };
}

function qualityOf(
  answers: readonly ReportAnswers[],
  seenMasked: boolean,
  { resamples, metrics, column }: Drawn,
): EvaluationReport['quality'] {
  return answers.map(({ scorer, dim }, a) => ({
    ...{ scorer, dim, seenMasked },
    metrics: Object.fromEntries(
      metrics.map((metric) => [metric, resamples.estimate(column(a, metric))]),
    ),
  }));
}

function comparisons(
  answers: readonly ReportAnswers[],
  seenMasked: boolean,
  { resamples, column }: Drawn,
): EvaluationReport['comparisons'] {
  return answers.flatMap(({ kind, dim }, a) =>
    kind !== 'model' || dim === null
      ? []
      : answers.flatMap((other, b) => {
          if (other.kind !== 'baseline') return [];
          const over = (metric: string): Estimate =>
            resamples.difference(column(a, metric), column(b, metric));
          return [
            { dim, baseline: other.scorer, seenMasked, ndcg10: over(NDCG), recall10: over(RECALL) },
          ];
        }),
  );
}

function sizeQualities(
  answers: readonly ReportAnswers[],
  { resamples, column }: Drawn,
): SizeQuality[] {
  const sizes = answers.flatMap(({ kind, dim }, a) =>
    kind !== 'model' || dim === null ? [] : [{ dim, at: column(a, NDCG) }],
  );
  const full = sizes.at(-1)!;
  return sizes.map(({ dim, at }, k) => ({
    dim,
    ndcg10: resamples.estimate(at),
    shareOfFull: resamples.ratio(at, full.at),
    overSmaller: k === 0 ? null : resamples.difference(at, sizes[k - 1]!.at),
  }));
}
