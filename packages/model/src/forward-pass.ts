/**
 * The batch forward pass alone, over item vectors that are handed in: for verification of states, where
 * items may have been added or changed after the training. Of a model it keeps only the blocks.
 */
import type { ModelConfig, NamedArray, NamedArrays } from '@nestrec/contracts';
import { ITEM_RESIDUAL, PROJECTOR_BIAS } from '@nestrec/parameters';
import { disposeTensors } from '@nestrec/tensor';
import { createModel, type HistoryRows } from './model.js';

export interface ForwardPass {
  /**
   * z at the end of every history, histories x D.
   * @param items vectors, rows x D; `histories` names them by row, from 1: row 0 is put before them
   */
  queries(items: Float32Array, histories: HistoryRows): Float32Array;
  dispose(): void;
}

/** The backend must have been chosen before. @throws InvalidArtifact for a parameter that is missing */
export function createForwardPass(config: ModelConfig, parameters: NamedArrays): ForwardPass {
  const dim = config.sizes.at(-1)!;
  const padding = parameters.get(PROJECTOR_BIAS)?.data ?? new Float32Array(dim);
  const model = createModel(
    { ...config, featureWidth: 0, numItems: 1, itemResidual: true, scoreScale: false },
    new Float32Array(0),
  );
  const uploaded = model.createParameters(
    new Map<string, NamedArray>([
      ...parameters,
      [PROJECTOR_BIAS, { shape: [dim], data: padding }],
      [ITEM_RESIDUAL, { shape: [1, dim], data: new Float32Array(dim) }],
    ]),
  );
  return {
    queries: (items, histories) => {
      const rows = new Float32Array(dim + items.length);
      rows.set(padding);
      rows.set(items, dim);
      const table = model.parts.tableOf(rows);
      try {
        return model.lastStates(uploaded, table, histories);
      } finally {
        table.dispose();
      }
    },
    dispose: () => {
      disposeTensors(uploaded);
      model.dispose();
    },
  };
}
