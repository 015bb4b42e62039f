/** The evaluation that steers training: NDCG@10 by size on (a sample of) the validation cases. */
import type { EpochRecord, Metrics, ModelConfig } from '@nestrec/contracts';
import type { EvaluationCases, Split } from '@nestrec/dataset';
import { metricsOfRanks } from '@nestrec/evaluation';
import type { Random } from '@nestrec/random';
import { sampleCases, seenItems } from './seen-items.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingSteps } from './steps/training-steps.js';

export interface EarlyEvaluation {
  readonly cases: EvaluationCases;
  /** `bySize['64']` = NDCG@10 at 64, seen masked; `primary` = their mean at full depth. */
  evaluate(steps: TrainingSteps): Promise<EarlyFigures>;
}

export type EarlyFigures = { readonly primary: number } & Pick<EpochRecord, 'bySize' | 'byExit'>;

export function createEarlyEvaluation(
  split: Split,
  { numItems, sizes, exits = [] }: Pick<ModelConfig, 'numItems' | 'sizes' | 'exits'>,
  settings: Pick<TrainingSettings, 'evaluationCases'>,
  random: Random,
): EarlyEvaluation {
  const cases = sampleCases(split.cases('validation'), settings.evaluationCases, (count) =>
    random.shuffle(Int32Array.from({ length: count }, (_, i) => i)),
  );
  const seen = seenItems(cases, numItems);
  const ndcg = async (steps: TrainingSteps, blocks?: number): Promise<number[]> => {
    const { masked } = await steps.rank(cases, seen, blocks);
    return masked.map((ranks) => metricsOfRanks(ranks, [10])['ndcg@10']!);
  };
  const named = (at: readonly number[], values: readonly number[]): Metrics =>
    Object.fromEntries(at.map((size, k) => [String(size), values[k]!]));
  return {
    cases,
    async evaluate(steps) {
      const values = await ndcg(steps);
      const primary = values.reduce((sum, v) => sum + v, 0) / values.length;
      const bySize = named(sizes, values);
      if (exits.length === 0) return { primary, bySize };
      const byExit = [];
      for (const { blocks, dim } of exits) {
        const trained = sizes.filter((size) => size <= dim);
        byExit.push({ blocks, bySize: named(trained, await ndcg(steps, blocks)) });
      }
      return { primary, bySize, byExit };
    },
  };
}
