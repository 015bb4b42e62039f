/**
 * A finished model, loaded from plain arrays as an artifact would give them, for reports: what is judged
 * is what is saved, with raw features and nothing left from training.
 */
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import type { EvaluationCases, Ragged } from '@nestrec/dataset';
import { createModel, createSampledModel } from '@nestrec/model';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import { disposeTensors, type SizeRanks } from '@nestrec/tensor';
import { ITEMS_AT_ONCE, overItemChunks, queriesInChunks, rankInChunks } from './chunked-ranks.js';
import { itemVectorsOf, queriesOf, rankWithModel } from './model-ranks.js';
import type { SeenItems } from './seen-items.js';

export interface TrainedModel {
  readonly config: ModelConfig;
  /** @param blocks of an early exit; default: all */
  rank(cases: EvaluationCases, seen: SeenItems, maxLength: number, blocks?: number): SizeRanks;
  /** Query vectors, histories x D, of the newest `maxLength` items of each; `blocks` as above. */
  queries(histories: Ragged, maxLength: number, blocks?: number): Float32Array;
  /** Hands over the item vectors (items x D) of `first`, `first + 1`, ... in ascending chunks. */
  overItems(use: (vectors: Float32Array, first: number) => void): void;
  dispose(): void;
}

/**
 * @param features N x F, as the artifact holds them.
 * @param itemsAtOnce above this many items, their vectors are computed a chunk at a time.
 */
export function createTrainedModel(
  config: ModelConfig,
  parameters: NamedArrays,
  features: Float32Array,
  itemsAtOnce = ITEMS_AT_ONCE,
): TrainedModel {
  if (config.numItems > itemsAtOnce) return inChunks(config, parameters, features, itemsAtOnce);
  const model = createModel(config, features);
  const variables = model.createParameters(parameters);
  return {
    config,
    rank: (cases, seen, maxLength, blocks) =>
      rankWithModel(model, variables, cases, seen, maxLength, blocks),
    queries: (histories, maxLength, blocks) =>
      queriesOf(model, variables, histories, maxLength, blocks).queries,
    overItems: (use) => use(itemVectorsOf(model, variables), 1),
    dispose() {
      disposeTensors(variables);
      model.dispose();
    },
  };
}

function inChunks(
  config: ModelConfig,
  parameters: NamedArrays,
  features: Float32Array,
  itemsAtOnce: number,
): TrainedModel {
  const residual = config.itemResidual ? parameters.get(ITEM_RESIDUAL)!.data : null;
  const model = createSampledModel(config, { features, featureMap: null, residual });
  const variables = model.createParameters(parameters);
  return {
    config,
    rank: (cases, seen, maxLength, blocks) =>
      rankInChunks(model, variables, cases, seen, { maxLength, blocks }, itemsAtOnce),
    queries: (histories, maxLength, blocks) =>
      queriesInChunks(model, variables, histories, { maxLength, blocks }),
    overItems: (use) => overItemChunks(model, variables, itemsAtOnce, use),
    dispose() {
      disposeTensors(variables);
      model.dispose();
    },
  };
}
