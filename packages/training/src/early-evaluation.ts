/** The evaluation that steers training: NDCG@10 by size on (a sample of) the validation cases. */
import type { Metrics, ModelConfig } from '@nestrec/contracts';
import type { EvaluationCases, Split } from '@nestrec/dataset';
import { metricsOfRanks } from '@nestrec/evaluation';
import type { Random } from '@nestrec/random';
import { sampleCases, seenItems } from './seen-items.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingSteps } from './steps/training-steps.js';

export interface EarlyEvaluation {
  readonly cases: EvaluationCases;
  /** `bySize['64']` = NDCG@10 at 64, seen masked; `primary` = their mean. */
  evaluate(steps: TrainingSteps): Promise<{ primary: number; bySize: Metrics }>;
}

export function createEarlyEvaluation(
  split: Split,
  { numItems, sizes }: Pick<ModelConfig, 'numItems' | 'sizes'>,
  settings: Pick<TrainingSettings, 'evaluationCases'>,
  random: Random,
): EarlyEvaluation {
  const cases = sampleCases(split.cases('validation'), settings.evaluationCases, (count) =>
    random.shuffle(Int32Array.from({ length: count }, (_, i) => i)),
  );
  const seen = seenItems(cases, numItems);
  return {
    cases,
    async evaluate(steps) {
      const { masked } = await steps.rank(cases, seen);
      const values = masked.map((ranks) => metricsOfRanks(ranks, [10])['ndcg@10']!);
      return {
        primary: values.reduce((sum, v) => sum + v, 0) / values.length,
        bySize: Object.fromEntries(sizes.map((size, k) => [String(size), values[k]!])),
      };
    },
  };
}
