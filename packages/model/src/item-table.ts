/** The item table and its gradients by parameter name. The caller disposes what is returned. */
import type * as tf from '@tensorflow/tfjs-core';
import {
  itemTable,
  itemTableBackward,
  type ItemTableInput,
  type SegmentMatrices,
  type TensorMap,
} from '@nestrec/tensor';
import { ITEM_RESIDUAL, PROJECTOR_BIAS, PROJECTOR_WEIGHT } from '@nestrec/parameters';

/** What stays the same over the steps of a model. */
export interface ItemSide {
  readonly sizes: readonly number[];
  readonly numItems: number;
  /** [N + 1, F], row 0 zeros; null where the model has none. */
  readonly features: tf.Tensor2D | null;
  readonly matrices: SegmentMatrices;
}

function inputOf(
  { sizes, numItems, features, matrices }: ItemSide,
  parameters: TensorMap,
  residualMask: tf.Tensor2D | null,
): ItemTableInput {
  const named = (name: string) => (parameters.get(name) as tf.Tensor2D | undefined) ?? null;
  const projector = named(PROJECTOR_WEIGHT);
  return {
    ...{ sizes, items: numItems, projector, residualMask, spread: matrices.spread },
    features: projector === null ? null : features,
    bias: parameters.get(PROJECTOR_BIAS)!,
    residual: named(ITEM_RESIDUAL),
  };
}

/** @param residualMask [N, M] by item and segment, or null. */
export function itemRows(
  side: ItemSide,
  parameters: TensorMap,
  residualMask: tf.Tensor2D | null,
): tf.Tensor2D {
  return itemTable(inputOf(side, parameters, residualMask));
}

/** Gradients by P, p and R from that by E, [N + 1, D]. */
export function itemRowsBackward(
  upstream: tf.Tensor2D,
  side: ItemSide,
  parameters: TensorMap,
  residualMask: tf.Tensor2D | null,
): Map<string, tf.Tensor> {
  const back = itemTableBackward(upstream, inputOf(side, parameters, residualMask));
  const gradients = new Map<string, tf.Tensor>([[PROJECTOR_BIAS, back.bias]]);
  if (back.projector !== null) gradients.set(PROJECTOR_WEIGHT, back.projector);
  if (back.residual !== null) gradients.set(ITEM_RESIDUAL, back.residual);
  return gradients;
}
