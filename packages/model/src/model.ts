/**
 * The model on a TensorFlow.js backend: loss with gradients on packed batches, and query vectors for evaluation.
 *
 * Holds the item features and a few constants as tensors; parameters are the caller's. Knows neither data sets
 * nor optimisers. The backend must have been chosen before (`selectBackend` of @nestrec/tensor).
 */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import { InternalError } from '@nestrec/errors';
import {
  addRows,
  applyMask,
  createSegmentMatrices,
  gatherRows,
  hostNumbers,
  nestedMask,
  toNamedArrays,
  type NestedCrossEntropy,
  type PackedRows,
  type TensorMap,
} from '@nestrec/tensor';
import {
  blockBackward,
  blockForward,
  type BlockConstants,
  type BlockForward,
  type RowLayout,
} from './block.js';
import { addGradients, labelLoss, outputsOf, type Output } from './label-loss.js';
import { itemRows, itemRowsBackward, type ItemSide } from './item-table.js';
import { nestedShape, packArrays, unpackArrays } from '@nestrec/parameters';
import { blockTensors, type Parameters } from './packed-tensors.js';
import { drawMasks, NO_MASKS, type MaskSettings, type StepMasks } from './step-masks.js';
import { blockPrefix, LOG_SCORE_SCALE } from '@nestrec/parameters';

/** Packed rows with the item fed at each row; 0 = empty history: x = p and h stays 0. */
export interface PackedInputs extends PackedRows {
  readonly inputs: Int32Array;
}

/** Packed rows with the item to predict at each row; 0 = no label. */
export interface LabelledRows extends PackedInputs {
  readonly targets: Int32Array;
}

/** Packed histories and the row at which each ends. */
export interface HistoryRows extends PackedInputs {
  readonly lastRows: Int32Array;
}

export interface LossSettings extends MaskSettings {
  /** Weight of each size, at any scale (normalised to sum 1). Default: all equal. */
  readonly lossWeights?: readonly number[];
  /** Weight of each early exit of the model beside the full depth, which has 1 (normalised to sum 1). Default: 1. */
  readonly exitWeight?: number;
  /** By segment: how much of the larger sizes' gradient by scores reaches its coordinates; default 1. */
  readonly prefixShares?: readonly number[];
  /** Items per chunk of the cross-entropy; 0 = by memory. */
  readonly itemChunk?: number;
  /** Added to the scores of every row of the item table, padding row first: the correction of a sample. */
  readonly itemBias?: Float32Array;
}

export interface LossAndGradients {
  /** Weighted mean over sizes, and over the full depth and the early exits. */
  readonly loss: number;
  /** Mean cross-entropy of each size at full depth. */
  readonly lossBySize: readonly number[];
  /** By packed name; `AdamW.step` disposes them. */
  readonly gradients: Map<string, tf.Tensor>;
}

/**
 * What `lossAndGradients` is made of, for models that share a step or see only some of the items. Item rows that come from
 * or go to other models are plain numbers, rows x D.
 */
export interface StepParts {
  /** The caller disposes them (`disposeMasks`). */
  drawMasks(rows: number, settings: MaskSettings): StepMasks;
  disposeMasks(masks: StepMasks): void;
  /** Vectors of this model's items, row 0 = padding; without masks nothing is dropped. */
  itemRows(parameters: TensorMap, masks: StepMasks | null): Float32Array;
  /** A table of any item rows, this model's or not. */
  tableOf(items: Float32Array): ItemTable;
  /** Loss and gradients against any item rows, this model's or not; what lies behind the rows is left out. */
  rowGradients(
    parameters: Parameters,
    table: tf.Tensor2D,
    batch: LabelledRows,
    masks: StepMasks,
    settings: LossSettings,
  ): RowGradients;
  /** From the gradient by this model's item rows to those by what makes them. */
  itemGradients(
    upstream: Float32Array,
    parameters: TensorMap,
    masks: StepMasks,
  ): Map<string, tf.Tensor>;
}

export interface RowGradients extends LossAndGradients {
  /** By the item rows that the loss was computed with; the caller disposes it. */
  readonly items: tf.Tensor2D;
}

/** All item vectors on the backend, as they stand for one set of parameters. */
export interface ItemTable {
  /** [N + 1, D], row 0 is the padding row. */
  readonly rows: tf.Tensor2D;
  dispose(): void;
}

export interface Model {
  readonly config: ModelConfig;
  /** Uploads stored parameters (golden names) in packed form. The caller disposes them (`disposeTensors`). */
  createParameters(stored: NamedArrays): Parameters;
  /** Parameters, or gradients, under golden names. */
  exportParameters(packed: TensorMap): NamedArrays;
  lossAndGradients(
    parameters: Parameters,
    batch: LabelledRows,
    settings?: LossSettings,
  ): LossAndGradients;
  readonly parts: StepParts;
  itemTable(parameters: TensorMap): ItemTable;
  /** z of every row, [rows, D]; the caller disposes it. */
  forward(parameters: TensorMap, table: ItemTable, batch: PackedInputs): tf.Tensor2D;
  /** z at the end of every history, histories x D, in the order of `lastRows`. */
  /** @param blocks the first so many (default: all), as an early exit has it */
  lastStates(
    parameters: TensorMap,
    table: ItemTable,
    histories: HistoryRows,
    blocks?: number,
  ): Float32Array;
  dispose(): void;
}

/** @param features N x F, row-major, of the items in the order of their ids. */
export function createModel(config: ModelConfig, features: Float32Array): Model {
  const { numItems, featureWidth, sizes } = config;
  if (features.length !== numItems * featureWidth) {
    throw new InternalError({
      detail: `item features have ${features.length} numbers; wanted ${numItems} items x ${featureWidth}.`,
    });
  }
  const featureRows = featureWidth === 0 ? null : withPaddingRow(features, numItems, featureWidth);
  const matrices = createSegmentMatrices(sizes);
  const constants: BlockConstants = {
    sizes,
    matrices,
    masks: {
      real: nestedMask({ sizes, outParts: 1, inParts: 1 }),
      input: nestedMask(nestedShape(sizes, 'lru_layer.in_proj')),
      output: nestedMask(nestedShape(sizes, 'lru_layer.out_proj')),
    },
  };
  const side: ItemSide = { sizes, numItems, features: featureRows, matrices };
  const parts: Parts = { config, side, constants };
  return {
    config,
    createParameters: (stored) => upload(packArrays(config, stored)),
    exportParameters: (packed) => unpackArrays(config, toNamedArrays(packed)),
    lossAndGradients: (parameters, batch, settings = {}) =>
      lossAndGradients(parts, parameters, batch, settings),
    parts: stepParts(parts),
    itemTable(parameters) {
      const rows = itemRows(side, parameters, null);
      return { rows, dispose: () => rows.dispose() };
    },
    forward: (parameters, table, batch) => infer(parts, parameters, table, batch, config.blocks),
    lastStates(parameters, table, histories, blocks = config.blocks) {
      return hostNumbers(() =>
        gatherRows(infer(parts, parameters, table, histories, blocks), histories.lastRows),
      );
    },
    dispose() {
      featureRows?.dispose();
      constants.matrices.dispose();
      tf.dispose(Object.values(constants.masks));
    },
  };
}

interface Parts {
  readonly config: ModelConfig;
  readonly side: ItemSide;
  readonly constants: BlockConstants;
}

function withPaddingRow(features: Float32Array, numItems: number, width: number): tf.Tensor2D {
  const data = new Float32Array((numItems + 1) * width);
  data.set(features, width);
  return tf.tensor2d(data, [numItems + 1, width]);
}

function upload(packed: NamedArrays): Parameters {
  const variables = new Map<string, tf.Variable>();
  for (const [name, { shape, data }] of packed) {
    const variable = tf.tidy(() => tf.variable(tf.tensor(data, [...shape])));
    variables.set(name, variable);
  }
  return variables;
}

function layoutOf({ active, start, rows, inputs }: PackedInputs): RowLayout {
  return { active, start, rows, silent: Uint8Array.from(inputs, (item) => (item === 0 ? 1 : 0)) };
}

function infer(
  parts: Parts,
  parameters: TensorMap,
  table: ItemTable,
  batch: PackedInputs,
  blocks: number,
): tf.Tensor2D {
  return tf.tidy(() => {
    const layout = layoutOf(batch);
    let x = gatherRows(table.rows, batch.inputs);
    for (let block = 0; block < blocks; block++) {
      const before = x;
      const tensors = blockTensors(parameters, block);
      x = tf.tidy(() => blockForward(before, tensors, layout, NO_MASKS, parts.constants).output);
      before.dispose();
    }
    return x;
  });
}

function stepParts(parts: Parts): StepParts {
  const { config, side } = parts;
  const width = config.sizes.at(-1)!;
  const rowsOf = (data: Float32Array) => tf.tensor2d(data, [data.length / width, width]);
  return {
    drawMasks: (rows, settings) => drawMasks(config, rows, settings),
    disposeMasks: ({ embedding, blocks, residual }) => {
      for (const mask of [embedding, residual, ...blocks.flatMap((b) => Object.values(b))]) {
        (mask as tf.Tensor | null)?.dispose();
      }
    },
    itemRows: (parameters, masks) =>
      hostNumbers(() => itemRows(side, parameters, masks?.residual ?? null)),
    tableOf(items) {
      const rows = rowsOf(items);
      return { rows, dispose: () => rows.dispose() };
    },
    rowGradients: (parameters, table, batch, masks, settings) =>
      rowGradients(parts, parameters, table, batch, masks, settings),
    itemGradients(upstream, parameters, masks) {
      const rows = rowsOf(upstream);
      const gradients = itemRowsBackward(rows, side, parameters, masks.residual);
      rows.dispose();
      return gradients;
    },
  };
}

function lossAndGradients(
  parts: Parts,
  parameters: Parameters,
  batch: LabelledRows,
  settings: LossSettings,
): LossAndGradients {
  const { config, side } = parts;
  let result: RowGradients | undefined;
  const tensors = tf.tidy(() => {
    const masks = drawMasks(config, batch.rows, settings);
    const table = itemRows(side, parameters, masks.residual);
    result = rowGradients(parts, parameters, table, batch, masks, settings);
    const back = itemRowsBackward(result.items, side, parameters, masks.residual);
    return Object.fromEntries([...result.gradients, ...back]);
  });
  const { loss, lossBySize } = result!;
  return { loss, lossBySize, gradients: new Map(Object.entries(tensors)) };
}

/** Loss, and its gradients by the item rows and by all parameters that are not behind them. */
function rowGradients(
  parts: Parts,
  parameters: Parameters,
  table: tf.Tensor2D,
  batch: LabelledRows,
  masks: StepMasks,
  settings: LossSettings,
): RowGradients {
  const { config, constants } = parts;
  const { full, exits } = outputsOf(config, settings);
  let result: NestedCrossEntropy | undefined;
  let loss = 0;
  const { items, ...tensors } = tf.tidy(() => {
    const layout = layoutOf(batch);
    const embedded = gatherRows(table, batch.inputs);
    let x = applyMask(embedded, masks.embedding);
    const passes: BlockForward[] = masks.blocks.map((blockMasks, block) => {
      const pass = blockForward(x, blockTensors(parameters, block), layout, blockMasks, constants);
      x = pass.output;
      return pass;
    });

    const lossAt = (output: Output) =>
      labelLoss(passes[output.blocks - 1]!.output, table, batch, output, parameters, settings);
    result = lossAt(full);
    loss = result.loss;
    let sums = result.gradients;
    let dx = sums.states;
    const gradients: Record<string, tf.Tensor> = {};
    for (let block = config.blocks - 1; block >= 0; block--) {
      const exit = exits.find(({ blocks }) => blocks === block + 1);
      if (exit !== undefined) {
        const early = lossAt(exit);
        loss += early.loss;
        sums = addGradients({ ...sums, states: dx }, early.gradients);
        dx = sums.states;
      }
      const back = blockBackward(
        dx,
        passes[block]!.saved,
        blockTensors(parameters, block),
        layout,
        masks.blocks[block]!,
        constants,
      );
      dx = back.x;
      for (const [name, tensor] of back.parameters)
        gradients[`${blockPrefix(block)}.${name}`] = tensor;
    }
    dx = applyMask(dx, masks.embedding);
    const { logScales } = sums;
    if (logScales !== null) gradients[LOG_SCORE_SCALE] = tf.tensor1d(logScales);
    return { ...gradients, items: addRows(sums.items, batch.inputs, dx) };
  });
  const { lossBySize } = result!;
  return {
    ...{ loss, lossBySize },
    gradients: new Map(Object.entries(tensors)),
    items: items as tf.Tensor2D,
  };
}
