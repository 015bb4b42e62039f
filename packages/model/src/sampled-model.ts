/**
 * The model of a catalogue that is too large for every step to see: item features and the item residual R stay in main
 * memory, and a step computes with a compact table of candidates (row 0 = padding row, as in the full one).
 *
 * The loss is the full softmax over the candidates, each score corrected by -log of the candidate's probability of being
 * one, so that the sum over candidates is right on average for the sum over all items. With every item a candidate at
 * probability 1 it is the full softmax. Knows nothing of how candidates are drawn.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import { InternalError } from '@nestrec/errors';
import { ITEM_RESIDUAL, PROJECTOR_WEIGHT } from '@nestrec/parameters';
import {
  createSegmentMatrices,
  gatherTableRows,
  hostNumbers,
  type SegmentMatrices,
  type TensorMap,
} from '@nestrec/tensor';
import { itemRows, itemRowsBackward, type ItemSide } from './item-table.js';
import {
  createModel,
  type HistoryRows,
  type LabelledRows,
  type LossAndGradients,
  type LossSettings,
  type Model,
  type PackedInputs,
} from './model.js';
import type { Parameters } from './packed-tensors.js';
import { drawMasks } from './step-masks.js';

/** The candidates of one step. */
export interface ItemSample {
  /** Ids 1..N, ascending, distinct; those of the batch's inputs and targets among them. */
  readonly items: Int32Array;
  /** By candidate: -log of its probability of being one; 0 where that is certain. */
  readonly bias: Float32Array;
}

export interface ItemStore {
  /** N x G, raw. */
  readonly features: Float32Array;
  /** W [F, G], G >= F: the projector is trained to see W f; null = f itself, and G = F. */
  readonly featureMap: Float32Array | null;
  /** R [N, D]; null where the model has none. Read at every call: whoever holds it may change it in between. */
  readonly residual: Float32Array | null;
}

export interface SampledLoss extends LossAndGradients {
  /** By the rows of R that belong to the candidates, in their order; null where there is no R. */
  readonly residual: tf.Tensor2D | null;
}

export interface SampledModel {
  readonly config: ModelConfig;
  /** All parameters but R, packed, on the backend. */
  createParameters(stored: NamedArrays): Parameters;
  /** Their golden names. */
  exportParameters(packed: TensorMap): NamedArrays;
  lossAndGradients(
    parameters: Parameters,
    batch: LabelledRows,
    sample: ItemSample,
    settings?: LossSettings,
  ): SampledLoss;
  /** Vectors of the items with these ids, items x D. */
  itemVectors(parameters: TensorMap, items: Int32Array): Float32Array;
  /** z at the end of every history, histories x D, in the order of `lastRows`; after `blocks` blocks, by default all. */
  lastStates(parameters: TensorMap, histories: HistoryRows, blocks?: number): Float32Array;
  dispose(): void;
}

interface Parts {
  readonly config: ModelConfig;
  readonly store: ItemStore;
  readonly rawWidth: number;
  /** The same model without items. */
  readonly body: Model;
  readonly matrices: SegmentMatrices;
  readonly featureMap: tf.Tensor2D | null;
  /** Row of an item in the candidates' table, where that was set last. */
  readonly rowOf: Int32Array;
}

export function createSampledModel(config: ModelConfig, store: ItemStore): SampledModel {
  const { numItems, featureWidth, sizes } = config;
  const width = sizes.at(-1)!;
  const mapped = store.featureMap !== null && featureWidth > 0;
  const rawWidth = mapped ? store.featureMap!.length / featureWidth : featureWidth;
  requireNumbers('item features', store.features, numItems * rawWidth);
  if (store.residual) requireNumbers('item residual', store.residual, numItems * width);
  const body = createModel({ ...config, numItems: 0, itemResidual: false }, new Float32Array(0));
  const parts: Parts = {
    ...{ config, store, body, rawWidth },
    matrices: createSegmentMatrices(sizes),
    featureMap:
      store.featureMap && tf.tensor2d(store.featureMap, [featureWidth, rawWidth], 'float32'),
    rowOf: new Int32Array(numItems + 1),
  };
  return {
    config,
    createParameters: body.createParameters,
    exportParameters: body.exportParameters,
    lossAndGradients: (parameters, batch, sample, settings = {}) =>
      lossAndGradients(parts, parameters, batch, sample, settings),
    itemVectors: (parameters, items) =>
      hostNumbers(() => candidateRows(parts, parameters, items, null).table).subarray(width),
    lastStates: (parameters, histories, blocks) => lastStates(parts, parameters, histories, blocks),
    dispose() {
      parts.matrices.dispose();
      parts.featureMap?.dispose();
      body.dispose();
    },
  };
}

function requireNumbers(what: string, numbers: Float32Array, wanted: number): void {
  if (numbers.length === wanted) return;
  throw new InternalError({ detail: `${what}: got ${numbers.length} numbers, wanted ${wanted}.` });
}

/** The table of candidates, and what is needed to go back from its gradient. Inside a tidy. */
function candidateRows(
  { config, store, rawWidth, matrices, featureMap }: Parts,
  parameters: TensorMap,
  items: Int32Array,
  residualMask: tf.Tensor2D | null,
) {
  const width = config.sizes.at(-1)!;
  const rows = items.map((item) => item - 1);
  const gathered = new Map(parameters);
  const projector = parameters.get(PROJECTOR_WEIGHT);
  // P f' = P (W f) = (P W) f: one small product instead of a whitened copy of all features.
  if (projector !== undefined && featureMap !== null) {
    gathered.set(PROJECTOR_WEIGHT, tf.matMul(projector, featureMap));
  }
  if (store.residual !== null) {
    gathered.set(ITEM_RESIDUAL, gatherTableRows(store.residual, width, rows));
  }
  const side: ItemSide = {
    ...{ sizes: config.sizes, numItems: items.length, matrices },
    features: projector === undefined ? null : gatherTableRows(store.features, rawWidth, rows, 1),
  };
  const back = (upstream: tf.Tensor2D) => {
    const gradients = itemRowsBackward(upstream, side, gathered, residualMask);
    const byProjector = gradients.get(PROJECTOR_WEIGHT) as tf.Tensor2D | undefined;
    if (byProjector !== undefined && featureMap !== null) {
      gradients.set(PROJECTOR_WEIGHT, tf.matMul(byProjector, featureMap, false, true));
    }
    return gradients;
  };
  return { table: itemRows(side, gathered, residualMask), back };
}

function lossAndGradients(
  parts: Parts,
  parameters: Parameters,
  batch: LabelledRows,
  sample: ItemSample,
  settings: LossSettings,
): SampledLoss {
  const { config, body } = parts;
  const { items, bias } = sample;
  requireNumbers('correction of candidates', bias, items.length);
  const itemBias = new Float32Array(items.length + 1);
  itemBias.set(bias, 1);
  const mapped = withTableRows(parts, items, batch);
  const targets = tableRows(parts, items, batch.targets);
  let result: LossAndGradients | undefined;
  const tensors = tf.tidy(() => {
    const withResidual = { ...config, numItems: items.length };
    const masks = drawMasks(withResidual, batch.rows, settings);
    const { table, back } = candidateRows(parts, parameters, items, masks.residual);
    const lossSettings = { ...settings, itemBias };
    const step = body.parts.rowGradients(
      ...([parameters, table, { ...mapped, targets }, masks, lossSettings] as const),
    );
    result = step;
    return Object.fromEntries([...step.gradients, ...back(step.items)]);
  });
  const { loss, lossBySize } = result!;
  const gradients = new Map(Object.entries(tensors));
  const residual = (gradients.get(ITEM_RESIDUAL) as tf.Tensor2D | undefined) ?? null;
  gradients.delete(ITEM_RESIDUAL);
  return { loss, lossBySize, gradients, residual };
}

function lastStates(
  parts: Parts,
  parameters: TensorMap,
  histories: HistoryRows,
  blocks?: number,
): Float32Array {
  const items = distinctItems(histories.inputs);
  const rows = tf.tidy(() => candidateRows(parts, parameters, items, null).table);
  const dispose = () => rows.dispose();
  try {
    const mapped = { ...histories, ...withTableRows(parts, items, histories) };
    return parts.body.lastStates(parameters, { rows, dispose }, mapped, blocks);
  } finally {
    dispose();
  }
}

/** Ids in `inputs`, each once, ascending, without 0. */
function distinctItems(inputs: Int32Array): Int32Array {
  return Int32Array.from(new Set(inputs))
    .filter((item) => item !== 0)
    .sort();
}

function withTableRows<T extends PackedInputs>(parts: Parts, items: Int32Array, batch: T): T {
  return { ...batch, inputs: tableRows(parts, items, batch.inputs) };
}

/** Ids of items as rows of the candidates' table; 0 stays the padding row. */
function tableRows({ rowOf }: Parts, items: Int32Array, ids: Int32Array): Int32Array {
  items.forEach((item, i) => (rowOf[item] = i + 1));
  return ids.map((id) => {
    const row = rowOf[id]!;
    if (id === 0 || items[row - 1] === id) return row;
    throw new InternalError({ detail: `item ${id} of the batch is not among the candidates.` });
  });
}
