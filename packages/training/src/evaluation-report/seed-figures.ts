/** The same sizes under trainings of other seeds, on the same cases; NDCG@10 with seen items masked. */
import type { EvaluationReport } from '@nestrec/contracts';
import { gainOfRank, resampleByGroup, type Answers } from '@nestrec/evaluation';
import type { Random } from '@nestrec/random';
import type { AnsweredCases } from './answered-cases.js';

const CUTOFF = 10;

/** One training and its answers to the cases, by size. */
export interface SeedAnswers {
  readonly version: string;
  readonly seed: number;
  readonly answers: readonly Answers[];
}

const gainsOf = ({ masked }: Answers) =>
  Float64Array.from(masked, (rank) => gainOfRank(rank, CUTOFF));
const meanOf = (values: ArrayLike<number>) =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

/** @param trainings at least two, of equal sizes; the first is the one that the report is about. */
export function seedFigures(
  { cases, answers }: AnsweredCases,
  trainings: readonly SeedAnswers[],
  random: Random,
): NonNullable<EvaluationReport['seeds']> {
  const baselines = answers.filter(({ kind }) => kind === 'baseline');
  const sizes = trainings[0]!.answers.map(({ dim }, k) => {
    const gains = trainings.map((training) => gainsOf(training.answers[k]!));
    const ndcg10 = gains.map(meanOf);
    const mean = meanOf(ndcg10);
    const squares = ndcg10.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const perCase = gains[0]!.map((_, c) => meanOf(gains.map((of) => of[c]!)));
    const draws = random.fork(`seeds/${dim}`);
    const resamples = resampleByGroup([perCase, ...baselines.map(gainsOf)], cases.user, {
      uniform: () => draws.uniform(),
    });
    return {
      ...{ dim: dim!, ndcg10, mean, deviation: Math.sqrt(squares / (ndcg10.length - 1)) },
      overBaselines: baselines.map(({ scorer }, b) => ({
        baseline: scorer,
        ndcg10: resamples.difference(0, b + 1),
      })),
    };
  });
  return { versions: trainings.map(({ version, seed }) => ({ version, seed })), sizes };
}
