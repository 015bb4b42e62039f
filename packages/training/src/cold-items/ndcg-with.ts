/** How well parameters rank some cases: what choices about items are made by once a model is trained. */
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import type { EvaluationCases } from '@nestrec/dataset';
import { metricsOfRanks } from '@nestrec/evaluation';
import { seenItems } from '../seen-items.js';
import type { TrainingSettings } from '../settings.js';
import { createTrainedModel } from '../trained-model.js';

export interface RankedBy {
  readonly config: ModelConfig;
  readonly settings: TrainingSettings;
  /** N x F. */
  readonly features: Float32Array;
}

/** NDCG@10 by size, seen items masked, of each of the groups of cases. */
export function ndcgWith(
  parameters: NamedArrays,
  { config, settings, features }: RankedBy,
  groups: readonly EvaluationCases[],
): number[][] {
  const model = createTrainedModel(config, parameters, features);
  try {
    return groups.map((cases) => {
      const { masked } = model.rank(cases, seenItems(cases, config.numItems), settings.maxLength);
      return masked.map((ranks) => metricsOfRanks(ranks, [10])['ndcg@10']!);
    });
  } finally {
    model.dispose();
  }
}

export const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
