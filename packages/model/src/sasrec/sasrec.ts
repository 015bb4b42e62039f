/**
 * SASRec (Kang & McAuley 2018, arXiv 1808.09781): causal self-attention over learned item ids and positions, as a
 * baseline beside the nested model. Blocks are those of its well-known re-implementation in PyTorch (queries are
 * normalised, keys and values are not; the residual starts from the normalised rows); the loss is the full softmax over
 * the tied item table in place of one sampled negative.
 *
 * Composed of operations with gradients of their own, put together by TensorFlow.js' tape (decision 0040). Like the nested model it predicts the first
 * item from the empty history: row 0 of the item table begins every sequence and competes in the loss. Pure: knows
 * neither data sets nor optimisers; the backend is chosen before.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { NamedArray, NamedArrays } from '@nestrec/contracts';
import { InvalidModelConfig } from '@nestrec/errors';
import type { Random } from '@nestrec/random';
import {
  addRows,
  createSegmentMatrices,
  dropoutMask,
  gatherRows,
  hostNumbers,
  type SegmentMatrices,
  type TensorMap,
} from '@nestrec/tensor';
import type { HistoryRows, LabelledRows, PackedInputs } from '../model.js';
import type { Parameters } from '../packed-tensors.js';
import { causalAttention, layOutTiles } from './causal-attention.js';
import {
  addDropped,
  dropped,
  layerNorm,
  linear,
  lookUp,
  meanCrossEntropy,
  relu,
  scale,
} from './differentiable.js';

export interface SasrecConfig {
  /** Width d of item vectors and of all layers. */
  readonly width: number;
  readonly blocks: number;
  /** Attention heads; they share the width out. */
  readonly heads: number;
  /** Positions L: most rows of a sequence. */
  readonly maxLength: number;
  /** N; ids are 1..N, 0 begins a sequence. */
  readonly numItems: number;
}

/** Item vectors [N + 1, d], row 0 for the beginning of a sequence. */
export const SASREC_ITEMS = 'items';

export interface SasrecDropout {
  /** One rate for embeddings, attention weights and both layers of the feed-forward part. */
  readonly dropout: number;
  readonly random: Random;
}

export interface Sasrec {
  readonly config: SasrecConfig;
  /** Uploads parameters as variables; the caller disposes them (`disposeTensors`). */
  createParameters(stored: NamedArrays): Parameters;
  /** Mean cross-entropy of all rows, and its gradients by parameter. Every row must have a target. */
  lossAndGradients(
    parameters: Parameters,
    batch: LabelledRows,
    settings: SasrecDropout,
  ): { readonly loss: number; readonly gradients: Map<string, tf.Tensor> };
  /** What each row predicts from, [rows, d]; the caller disposes it. */
  states(parameters: TensorMap, batch: PackedInputs): tf.Tensor2D;
  /** The state at the end of every history, histories x d, in the order of `lastRows`. */
  lastStates(parameters: TensorMap, histories: HistoryRows): Float32Array;
  dispose(): void;
}

const NORMS = ['attention.norm', 'feed_forward.norm'];
/** A bias on the keys would add the same to all scores of a query, which the softmax does not see. */
const LAYERS = [
  { name: 'attention.query', bias: true },
  { name: 'attention.key', bias: false },
  { name: 'attention.value', bias: true },
  { name: 'attention.output', bias: true },
  { name: 'feed_forward.w_1', bias: true },
  { name: 'feed_forward.w_2', bias: true },
];

/** Matrices by Glorot's normal rule, biases 0, gains 1. @throws InvalidModelConfig */
export function initSasrec(config: SasrecConfig, random: Random): NamedArrays {
  const { width, blocks, heads, maxLength, numItems } = config;
  const wrong = Object.entries({ width, blocks, heads, maxLength, numItems }).find(
    ([, value]) => !(Number.isInteger(value) && value >= 1),
  );
  if (wrong !== undefined || width % heads !== 0) {
    throw new InvalidModelConfig({
      detail:
        wrong === undefined
          ? `${heads} heads cannot share out a width of ${width}; wanted a divisor of it`
          : `SASRec's ${wrong[0]} is ${wrong[1]}; wanted a whole number of at least 1`,
    });
  }
  const arrays = new Map<string, NamedArray>();
  const matrix = (name: string, rows: number) => {
    const deviation = Math.sqrt(2 / (rows + width));
    const draws = random.fork(name);
    const data = Float32Array.from({ length: rows * width }, () => deviation * draws.normal());
    arrays.set(name, { shape: [rows, width], data });
  };
  const vector = (name: string, value: number) =>
    arrays.set(name, { shape: [width], data: new Float32Array(width).fill(value) });
  const norm = (name: string) => {
    vector(`${name}.gain`, 1);
    vector(`${name}.bias`, 0);
  };
  matrix(SASREC_ITEMS, numItems + 1);
  matrix('positions', maxLength);
  for (let block = 0; block < blocks; block++) {
    for (const name of NORMS) norm(`blocks.${block}.${name}`);
    for (const { name, bias } of LAYERS) {
      matrix(`blocks.${block}.${name}.weight`, width);
      if (bias) vector(`blocks.${block}.${name}.bias`, 0);
    }
  }
  norm('norm');
  return arrays;
}

/** What the layers share beside parameters. */
interface Constants {
  readonly config: SasrecConfig;
  readonly whole: SegmentMatrices;
  readonly ones: tf.Tensor2D;
}

export function createSasrec(config: SasrecConfig): Sasrec {
  const constants: Constants = {
    config,
    whole: createSegmentMatrices([config.width]),
    ones: tf.ones([config.width, config.width]),
  };
  const states = (parameters: TensorMap, batch: PackedInputs) =>
    tf.tidy(() => {
      const embedded = gatherRows(parameters.get(SASREC_ITEMS) as tf.Tensor2D, batch.inputs);
      return forward(constants, parameters, embedded, batch, null);
    });
  return {
    config,
    createParameters: (stored) =>
      new Map(
        [...stored].map(([name, { shape, data }]) => [
          name,
          tf.tidy(() => tf.variable(tf.tensor(data, [...shape]))),
        ]),
      ),
    lossAndGradients: (parameters, batch, settings) =>
      lossAndGradients(constants, parameters, batch, settings),
    states,
    lastStates: (parameters, histories) =>
      hostNumbers(() => gatherRows(states(parameters, histories), histories.lastRows)),
    dispose() {
      constants.whole.dispose();
      constants.ones.dispose();
    },
  };
}

function lossAndGradients(
  constants: Constants,
  parameters: Parameters,
  batch: LabelledRows,
  settings: SasrecDropout,
) {
  const names = [...parameters.keys()];
  let loss = NaN;
  const gradients = tf.tidy(() => {
    const table = parameters.get(SASREC_ITEMS) as unknown as tf.Tensor2D;
    const { value, grads } = tf.valueAndGrads((rows: tf.Tensor, ...tensors: tf.Tensor[]) => {
      const named = new Map(names.map((name, i) => [name, tensors[i]!]));
      const states = forward(constants, named, rows as tf.Tensor2D, batch, settings);
      const items = named.get(SASREC_ITEMS) as tf.Tensor2D;
      return meanCrossEntropy(states, items, batch.targets);
    })([gatherRows(table, batch.inputs), ...parameters.values()]);
    loss = value.dataSync()[0]!;
    const [byRow, ...own] = grads as [tf.Tensor2D, ...tf.Tensor[]];
    const named = Object.fromEntries(names.map((name, i) => [name, own[i]!]));
    // Added where the rows were looked up, which is far less than a second table to be summed.
    named[SASREC_ITEMS] = addRows(named[SASREC_ITEMS] as tf.Tensor2D, batch.inputs, byRow);
    return named;
  });
  return { loss, gradients: new Map(Object.entries(gradients)) };
}

/**
 * @param embedded item vectors of the rows, [rows, d]
 * @param settings null: nothing is dropped
 */
function forward(
  { config, whole, ones }: Constants,
  parameters: TensorMap,
  embedded: tf.Tensor2D,
  batch: PackedInputs,
  settings: SasrecDropout | null,
): tf.Tensor2D {
  const { width, heads } = config;
  const layout = layOutTiles(batch);
  const matrix = (name: string) => parameters.get(name) as tf.Tensor2D;
  const vector = (name: string) => parameters.get(name) as tf.Tensor1D;
  const norm = (x: tf.Tensor2D, name: string) =>
    layerNorm(x, vector(`${name}.gain`), vector(`${name}.bias`), whole);
  const layer = (x: tf.Tensor2D, name: string) =>
    linear(x, matrix(`${name}.weight`), vector(`${name}.bias`) ?? null, ones);
  const mask = () =>
    settings && dropoutMask(batch.rows, [width], [settings.dropout], settings.random);

  const positions = lookUp(matrix('positions'), stepsOf(batch));
  let x = dropped(addDropped(scale(embedded, Math.sqrt(width)), positions, null), mask());
  for (let block = 0; block < config.blocks; block++) {
    const name = `blocks.${block}`;
    const queries = norm(x, `${name}.attention.norm`);
    const attended = causalAttention(
      {
        queries: layer(queries, `${name}.attention.query`),
        keys: layer(x, `${name}.attention.key`),
        values: layer(x, `${name}.attention.value`),
        ...{ heads, dropout: settings },
      },
      layout,
    );
    const summed = addDropped(queries, layer(attended, `${name}.attention.output`), null);
    const normed = norm(summed, `${name}.feed_forward.norm`);
    const inner = relu(dropped(layer(normed, `${name}.feed_forward.w_1`), mask()));
    x = addDropped(normed, layer(inner, `${name}.feed_forward.w_2`), mask());
  }
  return norm(x, 'norm');
}

/** Position in its sequence of each packed row. */
function stepsOf({ active, start, rows }: PackedInputs): Int32Array {
  const steps = new Int32Array(rows);
  active.forEach((count, t) => steps.fill(t, start[t]!, start[t]! + count));
  return steps;
}
