/**
 * A finished model, loaded from plain arrays as an artifact would give them, for reports: what is judged
 * is what is saved, with raw features and nothing left from training.
 */
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import type { EvaluationCases } from '@nestrec/dataset';
import { createModel } from '@nestrec/model';
import { disposeTensors, type SizeRanks } from '@nestrec/tensor';
import { rankWithModel } from './model-ranks.js';
import type { SeenItems } from './seen-items.js';

export interface TrainedModel {
  readonly config: ModelConfig;
  rank(cases: EvaluationCases, seen: SeenItems, maxLength: number): SizeRanks;
  dispose(): void;
}

/** @param features N x F, as the artifact holds them. */
export function createTrainedModel(
  config: ModelConfig,
  parameters: NamedArrays,
  features: Float32Array,
): TrainedModel {
  const model = createModel(config, features);
  const variables = model.createParameters(parameters);
  return {
    config,
    rank: (cases, seen, maxLength) => rankWithModel(model, variables, cases, seen, maxLength),
    dispose() {
      disposeTensors(variables);
      model.dispose();
    },
  };
}
