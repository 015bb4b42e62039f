/** The evaluation that steers training: NDCG@10 by size on (a sample of) the validation cases. */
import type { Metrics } from '@nestrec/contracts';
import type { EvaluationCases, Split } from '@nestrec/dataset';
import { metricsOfRanks } from '@nestrec/evaluation';
import type { Parameters } from '@nestrec/model';
import type { Random } from '@nestrec/random';
import { rankWithModel } from './model-ranks.js';
import { sampleCases, seenItems } from './seen-items.js';
import type { TrainingSettings } from './settings.js';
import type { ScoringModel } from './steps/training-steps.js';

export interface EarlyEvaluation {
  readonly cases: EvaluationCases;
  /** `bySize['64']` = NDCG@10 at 64, seen masked; `primary` = their mean. */
  evaluate(model: ScoringModel, parameters: Parameters): { primary: number; bySize: Metrics };
}

export function createEarlyEvaluation(
  split: Split,
  numItems: number,
  settings: TrainingSettings,
  random: Random,
): EarlyEvaluation {
  const cases = sampleCases(split.cases('validation'), settings.evaluationCases, (count) =>
    random.shuffle(Int32Array.from({ length: count }, (_, i) => i)),
  );
  const seen = seenItems(cases, numItems);
  return {
    cases,
    evaluate(model, parameters) {
      const { masked } = rankWithModel(model, parameters, cases, seen, settings.maxLength);
      const values = masked.map((ranks) => metricsOfRanks(ranks, [10])['ndcg@10']!);
      return {
        primary: values.reduce((sum, v) => sum + v, 0) / values.length,
        bySize: Object.fromEntries(model.config.sizes.map((size, k) => [String(size), values[k]!])),
      };
    },
  };
}
