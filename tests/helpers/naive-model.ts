/**
 * The straightforward computation that the fused one is compared with: padded positions, features projected
 * again for every position, one product per segment, one logits matrix per size, gradients by TensorFlow.js'
 * own tape. Works on the same packed parameters as the model, with tensor operations only.
 *
 * Importing it registers TensorFlow.js' gradients. Dropout is not part of it.
 */
import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '@nestrec/contracts';
import type { Parameters } from '@nestrec/model';
import { scatterAddRows } from '@nestrec/tensor';

/** B sequences left-padded with 0 to L positions, position-major: row t * B + b. */
export interface PaddedBatch {
  readonly users: number;
  readonly length: number;
  readonly inputs: Int32Array;
  /** 0 = no label. */
  readonly targets: Int32Array;
}

export interface NaiveResult {
  readonly loss: number;
  readonly gradients: Map<string, tf.Tensor>;
}

type Lookup = (name: string) => tf.Tensor;

const segments = (sizes: readonly number[]) =>
  sizes.map((end, i) => ({ begin: i === 0 ? 0 : sizes[i - 1]!, end }));

const columns = (x: tf.Tensor, begin: number, end: number) =>
  tf.slice(x, [0, begin], [x.shape[0]!, end - begin]);

function norm(x: tf.Tensor, p: Lookup, name: string, sizes: readonly number[]): tf.Tensor {
  const parts = segments(sizes).map(({ begin, end }) => {
    const part = columns(x, begin, end);
    const centred = tf.sub(part, tf.mean(part, 1, true));
    const variance = tf.mean(tf.square(centred), 1, true);
    return tf.div(centred, tf.sqrt(tf.add(variance, 1e-5)));
  });
  return tf.add(tf.mul(tf.concat(parts, 1), p(`${name}.weight`)), p(`${name}.bias`));
}

/** One product per segment, rows `first` .. of the weight's outputs and columns `from` .. of its inputs. */
function nested(
  x: tf.Tensor,
  weight: tf.Tensor,
  sizes: readonly number[],
  first = 0,
  from = 0,
): tf.Tensor {
  const parts = segments(sizes).map(({ begin, end }) => {
    const part = tf.slice(weight, [first + begin, from], [end - begin, end]);
    return tf.matMul(columns(x, 0, end), tf.transpose(part));
  });
  return tf.concat(parts, 1);
}

/** h of every position [B * L, D] as real and imaginary parts; rows are position-major. */
function scan(
  v: { re: tf.Tensor; im: tf.Tensor },
  heard: tf.Tensor,
  logs: tf.Tensor,
  batch: PaddedBatch,
): { re: tf.Tensor; im: tf.Tensor } {
  const width = v.re.shape[1]!;
  const row = (i: number) => tf.reshape(tf.slice(logs, [i, 0], [1, width]), [width]);
  const modulus = tf.exp(tf.neg(tf.exp(row(0))));
  const angle = tf.exp(row(1));
  const gamma = tf.exp(row(2));
  const [lRe, lIm] = [tf.mul(modulus, tf.cos(angle)), tf.mul(modulus, tf.sin(angle))];
  const input = (part: tf.Tensor) => tf.mul(tf.mul(part, gamma), heard);
  const [vRe, vIm] = [input(v.re), input(v.im)];
  const steps: { re: tf.Tensor; im: tf.Tensor }[] = [];
  for (let t = 0; t < batch.length; t++) {
    const at = (part: tf.Tensor) => tf.slice(part, [t * batch.users, 0], [batch.users, width]);
    const before = steps.at(-1);
    if (before === undefined) steps.push({ re: at(vRe), im: at(vIm) });
    else {
      const { re, im } = before;
      steps.push({
        re: tf.add(tf.sub(tf.mul(lRe, re), tf.mul(lIm, im)), at(vRe)),
        im: tf.add(tf.add(tf.mul(lRe, im), tf.mul(lIm, re)), at(vIm)),
      });
    }
  }
  return {
    re: tf.concat(
      steps.map((step) => step.re),
      0,
    ),
    im: tf.concat(
      steps.map((step) => step.im),
      0,
    ),
  };
}

function block(
  x: tf.Tensor,
  p: Lookup,
  heard: tf.Tensor,
  batch: PaddedBatch,
  sizes: readonly number[],
): tf.Tensor {
  const width = sizes.at(-1)!;
  const u = norm(x, p, 'input_layernorm', sizes);
  const weight = p('lru_layer.in_proj.weight');
  const bias = p('lru_layer.in_proj.bias');
  const v = {
    re: tf.add(nested(u, weight, sizes), tf.slice(bias, [0], [width])),
    im: tf.add(nested(u, weight, sizes, width), tf.slice(bias, [width], [width])),
  };
  const h = scan(v, heard, p('lru_layer.params_log'), batch);
  const out = p('lru_layer.out_proj.weight');
  const read = tf.sub(nested(h.re, out, sizes), nested(h.im, out, sizes, 0, width));
  const a = tf.add(x, tf.add(read, tf.slice(p('lru_layer.out_proj.bias'), [0], [width])));
  const g = norm(a, p, 'post_lru_layernorm', sizes);
  const linear = (y: tf.Tensor, name: string) =>
    tf.add(nested(y, p(`feed_forward.${name}.weight`), sizes), p(`feed_forward.${name}.bias`));
  const gate = linear(g, 'gate');
  const inner = tf.mul(tf.mul(gate, tf.sigmoid(gate)), linear(g, 'w_1'));
  return tf.add(a, linear(inner, 'w_2'));
}

/** Rows of a table with a gradient that every backend has. */
function pickRows(table: tf.Tensor, indices: Int32Array): tf.Tensor {
  const op = tf.customGrad((x, save) => {
    (save as tf.GradSaveFunc)([]);
    const rows = (x as tf.Tensor).shape[0]!;
    const value = tf.gatherND(x as tf.Tensor, tf.tensor2d(indices, [indices.length, 1], 'int32'));
    return {
      value,
      gradFunc: (dy: tf.Tensor) => scatterAddRows(indices, dy as tf.Tensor2D, rows),
    };
  });
  return op(table);
}

function lossOf(
  config: ModelConfig,
  p: Lookup,
  features: tf.Tensor2D,
  batch: PaddedBatch,
  weights: readonly number[],
): tf.Scalar {
  const { sizes, blocks, numItems } = config;
  const bias = p('embedding.projector.bias');
  const project = (f: tf.Tensor) =>
    tf.add(tf.matMul(f, tf.transpose(p('embedding.projector.weight'))), bias);
  const residual = config.itemResidual
    ? tf.concat([tf.zeros([1, sizes.at(-1)!]), p('embedding.item_residual')], 0)
    : tf.zeros([numItems + 1, sizes.at(-1)!]);
  const items = tf.add(project(features), residual);
  const positions = batch.inputs.length;
  const fed = tf.gatherND(features, tf.tensor2d(batch.inputs, [positions, 1], 'int32'));
  let x: tf.Tensor = tf.add(project(fed), pickRows(residual, batch.inputs));
  const heard = tf.tensor2d(
    Float32Array.from(batch.inputs, (i) => (i === 0 ? 0 : 1)),
    [positions, 1],
  );
  for (let k = 0; k < blocks; k++) {
    x = block(x, (name) => p(`model.lru_blocks.${k}.${name}`), heard, batch, sizes);
  }
  const labelled = Float32Array.from(batch.targets, (target) => (target === 0 ? 0 : 1));
  const labels = labelled.reduce((a, b) => a + b, 0);
  const share = tf.tensor1d(labelled.map((value) => value / labels));
  const oneHot = tf.cast(tf.oneHot(tf.tensor1d(batch.targets, 'int32'), numItems + 1), 'float32');
  const losses = sizes.map((m, k) => {
    const part = tf.matMul(columns(x, 0, m), tf.transpose(columns(items, 0, m)));
    const scale = config.scoreScale
      ? tf.exp(tf.slice(p('head.log_score_scale'), [k], [1]))
      : tf.scalar(1);
    const logits = tf.mul(part, scale);
    const own = tf.sum(tf.mul(logits, oneHot), 1);
    const each = tf.sub(tf.logSumExp(logits, 1), own);
    return tf.mul(tf.sum(tf.mul(each, share)), weights[k]!);
  });
  return tf.addN(losses) as tf.Scalar;
}

/**
 * @param features [N + 1, F], row 0 zeros.
 * @param weights of the sizes, summing to 1.
 */
export function naiveLossAndGradients(
  config: ModelConfig,
  parameters: Parameters,
  features: tf.Tensor2D,
  batch: PaddedBatch,
  weights: readonly number[],
): NaiveResult {
  const names = [...parameters.keys()];
  const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
    const byName = new Map(names.map((name, i) => [name, tensors[i]!]));
    const p = (name: string) => byName.get(name)!;
    return lossOf(config, p, features, batch, weights);
  })([...parameters.values()]);
  const loss = value.dataSync()[0]!;
  value.dispose();
  return { loss, gradients: new Map(names.map((name, i) => [name, grads[i]!])) };
}
