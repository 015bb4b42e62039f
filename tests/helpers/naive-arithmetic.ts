/**
 * The arithmetic of the released fMRLRec code with this project's own kernels: what a step costs when only its amount of
 * work is naive. Padded positions go through everything, features are projected again for every position, and every size
 * has a product and a softmax of its own over its whole prefix (2,040 columns instead of 1,024 at a width of 1,024).
 *
 * Everything else is as good as ours: fused norms, gates and softmax, hand-written gradients, the same products. So a
 * ratio against it holds nothing of TensorFlow.js' tape or of unfused kernels; naive-model.ts is the other comparison.
 * Padded positions cost what labels cost and count as labels of item 0, so without padding its loss is the model's.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '@nestrec/contracts';
import type { Parameters } from '@nestrec/model';
import { blockPrefix } from '@nestrec/parameters';
import {
  addMasked,
  addRows,
  columnSums,
  createSegmentMatrices,
  gatherRows,
  itemTable,
  itemTableBackward,
  nestedCrossEntropy,
  nestedMask,
} from '@nestrec/tensor';
import {
  blockBackward,
  blockForward,
  type BlockConstants,
} from '../../packages/model/src/block.js';
import { blockTensors } from '../../packages/model/src/packed-tensors.js';
import type { NaiveResult, PaddedBatch } from './naive-model.js';

const PROJECTOR = 'embedding.projector.weight';
const BIAS = 'embedding.projector.bias';
const RESIDUAL = 'embedding.item_residual';
const NO_MASKS = { recurrence: null, inner: null, output: null };

export interface NaiveArithmetic {
  step(parameters: Parameters, batch: PaddedBatch): NaiveResult;
  dispose(): void;
}

/** @param features [N + 1, F], row 0 zeros; the caller disposes it. */
export function naiveArithmetic(config: ModelConfig, features: tf.Tensor2D): NaiveArithmetic {
  const { sizes } = config;
  const constants: BlockConstants = {
    sizes,
    matrices: createSegmentMatrices(sizes),
    masks: {
      real: nestedMask({ sizes, outParts: 1, inParts: 1 }),
      input: nestedMask({ sizes, outParts: 2, inParts: 1 }),
      output: nestedMask({ sizes, outParts: 1, inParts: 2 }),
    },
  };
  return {
    step(parameters, batch) {
      let loss = 0;
      const gradients = tf.tidy(() => {
        const result = stepOf(config, constants, features, parameters, batch);
        loss = result.loss;
        return Object.fromEntries(result.gradients);
      });
      return { loss, gradients: new Map(Object.entries(gradients)) };
    },
    dispose() {
      constants.matrices.dispose();
      tf.dispose(Object.values(constants.masks));
    },
  };
}

function stepOf(
  config: ModelConfig,
  constants: BlockConstants,
  features: tf.Tensor2D,
  parameters: Parameters,
  batch: PaddedBatch,
): NaiveResult {
  const { sizes, numItems, blocks } = config;
  const projector = parameters.get(PROJECTOR) as unknown as tf.Tensor2D;
  const residual = (parameters.get(RESIDUAL) as tf.Tensor2D | undefined) ?? null;
  const table = {
    ...{ sizes, items: numItems, features, projector, bias: parameters.get(BIAS)! },
    ...{ residual, residualMask: null, spread: constants.matrices.spread },
  };
  const items = itemTable(table);
  const fed = gatherRows(features, batch.inputs);
  const positions = batch.inputs.length;
  let x = tf.add(tf.matMul(fed, projector, false, true), table.bias) as tf.Tensor2D;
  if (residual !== null) x = addRowsAt(x, residual, batch.inputs);
  const layout = {
    active: new Int32Array(batch.length).fill(batch.users),
    start: Int32Array.from({ length: batch.length }, (_, t) => t * batch.users),
    rows: positions,
    silent: Uint8Array.from(batch.inputs, (item) => (item === 0 ? 1 : 0)),
  };
  const passes = Array.from({ length: blocks }, (_, k) => {
    const pass = blockForward(x, blockTensors(parameters, k), layout, NO_MASKS, constants);
    x = pass.output;
    return pass;
  });
  const loss = lossOf(x, items, batch.targets, parameters, config);
  let dx = loss.states;
  const gradients = new Map<string, tf.Tensor>();
  for (let k = blocks - 1; k >= 0; k--) {
    const tensors = blockTensors(parameters, k);
    const back = blockBackward(dx, passes[k]!.saved, tensors, layout, NO_MASKS, constants);
    dx = back.x;
    for (const [name, tensor] of back.parameters)
      gradients.set(`${blockPrefix(k)}.${name}`, tensor);
  }
  const back = itemTableBackward(loss.items, table);
  gradients.set(PROJECTOR, addMasked(back.projector!, tf.matMul(dx, fed, true), null));
  gradients.set(BIAS, tf.add(back.bias, columnSums(dx)));
  if (back.residual !== null) gradients.set(RESIDUAL, scatterBack(back.residual, dx, batch.inputs));
  if (loss.logScales !== null) gradients.set('head.log_score_scale', loss.logScales);
  return { loss: loss.loss, gradients };
}

/** Positions that have an item, and the row of the residual that is theirs. */
function heard(inputs: Int32Array): { rows: Int32Array; items: Int32Array } {
  const rows = Int32Array.from(inputs.keys()).filter((row) => inputs[row] !== 0);
  return { rows, items: rows.map((row) => inputs[row]! - 1) };
}

function addRowsAt(x: tf.Tensor2D, residual: tf.Tensor2D, inputs: Int32Array): tf.Tensor2D {
  const { rows, items } = heard(inputs);
  return addRows(x, rows, gatherRows(residual, items));
}

function scatterBack(d: tf.Tensor2D, dx: tf.Tensor2D, inputs: Int32Array): tf.Tensor2D {
  const { rows, items } = heard(inputs);
  return addRows(d, items, gatherRows(dx, rows));
}

/** The first m columns of x [n, D] as a tensor, copied on the host. */
function prefix(x: tf.Tensor2D, m: number): tf.Tensor2D {
  const [rows, width] = x.shape;
  if (m === width) return x;
  const data = x.dataSync();
  const out = new Float32Array(rows * m);
  for (let r = 0; r < rows; r++) out.set(data.subarray(r * width, r * width + m), r * m);
  return tf.tensor2d(out, [rows, m]);
}

/** One softmax over the catalogue for each size and position; gradients of all sizes, added up. */
function lossOf(
  x: tf.Tensor2D,
  items: tf.Tensor2D,
  targets: Int32Array,
  parameters: Parameters,
  { sizes }: ModelConfig,
) {
  const scales = parameters.get('head.log_score_scale')?.dataSync();
  const [dStates, dItems] = [x, items].map(({ shape }) => new Float32Array(shape[0] * shape[1]));
  const dScales = new Float32Array(sizes.length);
  let loss = 0;
  sizes.forEach((m, k) => {
    const result = nestedCrossEntropy({
      ...{ states: prefix(x, m), items: prefix(items, m), targets, sizes: [m] },
      ...{ weights: [1 / sizes.length], logScales: scales ? [scales[k]!] : null },
    });
    loss += result.loss;
    addPrefix(dStates!, result.gradients.states, x.shape[1], m);
    addPrefix(dItems!, result.gradients.items, items.shape[1], m);
    if (result.gradients.logScales) dScales[k] = result.gradients.logScales[0]!;
  });
  return {
    loss,
    states: tf.tensor2d(dStates!, x.shape),
    items: tf.tensor2d(dItems!, items.shape),
    logScales: scales ? tf.tensor1d(dScales) : null,
  };
}

function addPrefix(sum: Float32Array, part: tf.Tensor2D, width: number, m: number): void {
  const data = part.dataSync();
  for (let r = 0, at = 0; at < data.length; r++) {
    for (let d = r * width; d < r * width + m; d++) sum[d]! += data[at++]!;
  }
}
