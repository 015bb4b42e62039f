/**
 * Which outputs of a model are trained, and the loss at each: that of the full depth, and those of early exits, after
 * fewer blocks and perhaps only at the smaller sizes.
 *
 * All have the same item table and the same score scales; their losses and gradients add up.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '@nestrec/contracts';
import { InvalidConfig } from '@nestrec/errors';
import { LOG_SCORE_SCALE } from '@nestrec/parameters';
import {
  addMasked,
  gatherRows,
  nestedCrossEntropy,
  scatterAddRows,
  type NestedCrossEntropy,
} from '@nestrec/tensor';
import type { LabelledRows, LossSettings } from './model.js';
import type { Parameters } from './packed-tensors.js';

/** An output that is trained. */
export interface Output {
  /** After so many blocks. */
  readonly blocks: number;
  /** The sizes that are trained there: the first ones of the model's. */
  readonly sizes: readonly number[];
  /** By size; those of all outputs together sum to 1. */
  readonly weights: readonly number[];
}

/** @throws InvalidConfig for weights that leave an output without any */
export function outputsOf(
  { sizes, blocks, exits = [] }: ModelConfig,
  { lossWeights = sizes.map(() => 1), exitWeight = 1 }: LossSettings,
): { readonly full: Output; readonly exits: readonly Output[] } {
  const all = 1 + exitWeight * exits.length;
  const output = (after: number, trained: readonly number[], share: number): Output => {
    const weights = normalisedWeights(lossWeights.slice(0, trained.length), trained);
    const scaled = all === 1 ? weights : weights.map((weight) => (weight * share) / all);
    return { blocks: after, sizes: trained, weights: scaled };
  };
  requireOnePerSize(lossWeights, sizes);
  return {
    full: output(blocks, sizes, 1),
    exits: exits.map((exit) => {
      const trained = sizes.filter((size) => size <= exit.dim);
      return output(exit.blocks, trained, exitWeight);
    }),
  };
}

function requireOnePerSize(weights: readonly number[], sizes: readonly number[]): void {
  if (weights.length === sizes.length && weights.every((weight) => weight >= 0)) return;
  throw new InvalidConfig({
    detail: `loss weights are [${weights.slice(0, 8).join(', ')}]; wanted ${sizes.length} numbers of at least 0.`,
  });
}

/** Weights with sum 1. */
function normalisedWeights(weights: readonly number[], sizes: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  if (sum > 0) return weights.map((weight) => weight / sum);
  throw new InvalidConfig({
    detail: `the loss weights of the sizes ${sizes.join(', ')} are all 0; wanted one above 0 for every output that is trained.`,
  });
}

/** The loss over the rows that have a label; the gradients have all rows and the whole width again. */
export function labelLoss(
  z: tf.Tensor2D,
  table: tf.Tensor2D,
  { targets, rows }: LabelledRows,
  { sizes, weights }: Output,
  parameters: Parameters,
  settings: LossSettings,
): NestedCrossEntropy {
  const labelled = Int32Array.from(targets.keys()).filter((row) => targets[row] !== 0);
  const all = labelled.length === rows;
  const scale = parameters.get(LOG_SCORE_SCALE);
  const width = sizes.at(-1)!;
  const result = nestedCrossEntropy({
    states: firstColumns(all ? z : gatherRows(z, labelled), width),
    items: firstColumns(table, width),
    targets: all ? targets : targets.filter((target) => target !== 0),
    sizes,
    weights,
    logScales: scale === undefined ? null : scale.dataSync().slice(0, sizes.length),
    itemBias: settings.itemBias ?? null,
    prefixShares: settings.prefixShares?.slice(0, sizes.length) ?? sizes.map(() => 1),
    itemChunk: settings.itemChunk ?? 0,
  });
  const { states, items } = result.gradients;
  const spread = all ? states : scatterAddRows(labelled, states, rows);
  const gradients = {
    states: withColumns(spread, z.shape[1]),
    items: withColumns(items, z.shape[1]),
    logScales: result.gradients.logScales,
  };
  return { ...result, gradients };
}

const firstColumns = (x: tf.Tensor2D, width: number): tf.Tensor2D =>
  x.shape[1] === width ? x : tf.slice(x, [0, 0], [x.shape[0], width]);

/** With zeros in the columns that an output does not reach. */
const withColumns = (x: tf.Tensor2D, width: number): tf.Tensor2D =>
  x.shape[1] === width
    ? x
    : tf.pad(x, [
        [0, 0],
        [0, width - x.shape[1]],
      ]);

type Gradients = NestedCrossEntropy['gradients'];

/** The sum; takes the parts over, since two of them are as large as the item table. */
export function addGradients(a: Gradients, b: Gradients): Gradients {
  const sum = {
    states: addMasked(a.states, b.states, null),
    items: addMasked(a.items, b.items, null),
    logScales: a.logScales && a.logScales.map((value, k) => value + (b.logScales![k] ?? 0)),
  };
  tf.dispose([a.states, a.items, b.states, b.items]);
  return sum;
}
