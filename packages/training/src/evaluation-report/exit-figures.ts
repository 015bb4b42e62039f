/** Quality of the model's early exits, beside the full depth at the same size, case by case. */
import type { EvaluationReport } from '@nestrec/contracts';
import { gainOfRank, resampleByGroup } from '@nestrec/evaluation';
import type { Random } from '@nestrec/random';
import { askedOf } from '../seen-items.js';
import type { TrainedModel } from '../trained-model.js';
import { modelScorer } from '../vector-scorer.js';
import type { AnsweredCases } from './answered-cases.js';

const CUTOFF = 10;

export interface ExitsInput {
  readonly model: TrainedModel;
  readonly answered: AnsweredCases;
  /** Newest events of a history that the model is shown. */
  readonly maxLength: number;
  readonly random: Random;
}

/** Seen items masked; undefined where the model has no exits. */
export function exitFigures({
  model,
  answered: { cases, answers },
  maxLength,
  random,
}: ExitsInput): EvaluationReport['exits'] {
  const { exits, numItems } = model.config;
  if (exits === undefined) return undefined;
  const asked = askedOf(cases, numItems);
  const rows = exits.flatMap((exit) =>
    modelScorer(model, maxLength, exit)
      .answer(asked, null)
      .map(({ dim, masked }) => {
        const full = answers.find((one) => one.kind === 'model' && one.dim === dim)!;
        return { blocks: exit.blocks, dim: dim!, masked, full: full.masked };
      }),
  );
  const gains = (ranks: Int32Array) => Float64Array.from(ranks, (rank) => gainOfRank(rank, CUTOFF));
  const hits = (ranks: Int32Array) => Float64Array.from(ranks, (rank) => Number(rank <= CUTOFF));
  const columns = rows.flatMap(({ masked, full }) => [gains(masked), hits(masked), gains(full)]);
  const { estimate, difference } = resampleByGroup(columns, cases.user, {
    uniform: () => random.uniform(),
  });
  return rows.map(({ blocks, dim }, i) => ({
    ...{ blocks, dim, ndcg10: estimate(3 * i), recall10: estimate(3 * i + 1) },
    overFull: difference(3 * i, 3 * i + 2),
  }));
}
