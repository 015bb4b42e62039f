/**
 * Compares this model code with an oracle file: scores, losses of every optimiser step, first gradients and
 * final parameters. Runs on the backend that is active.
 *
 * An error is max|difference| / max|reference| over one tensor.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type { NamedArray, NamedArrays } from '@nestrec/contracts';
import { createAdamW, disposeTensors, type AdamW } from '@nestrec/tensor';
import { parseGolden, type GoldenFile } from './golden-file.js';
import { createModel, type LabelledRows, type Model } from './model.js';
import type { Parameters } from './packed-tensors.js';

export interface GoldenReport {
  readonly name: string;
  /** Greatest relative error of each part; null where it was not run. */
  readonly errors: {
    readonly scoresLast: number;
    readonly scoresAllLargest: number;
    readonly losses: number;
    readonly gradients: number;
    readonly gradientNorm: number;
    readonly finalParameters: number | null;
  };
  /** The greatest of them. */
  readonly greatest: number;
  /** The tensor with the greatest error, `grads.NAME` and so on. */
  readonly worst: string;
  readonly steps: number;
}

/** AdamW amplifies rounding where a gradient is this small; such entries are left out of the comparison. */
const SMALL_GRADIENT = 1e-7;

/** max|got - want| / max|want|; entries that `skip` names do not count. */
export function relativeError(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  skip: (index: number) => boolean = () => false,
): number {
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < want.length; i++) {
    if (skip(i)) continue;
    const error = Math.abs(got[i]! - want[i]!);
    // A value that is not a number must not pass as no difference.
    difference = Number.isFinite(error) ? Math.max(difference, error) : Infinity;
    if (difference === Infinity) return Infinity;
    largest = Math.max(largest, Math.abs(want[i]!));
  }
  if (difference === 0) return 0;
  return largest === 0 ? Infinity : difference / largest;
}

/**
 * All positions of B sequences as packed rows: row t * B + b. Padding positions are rows without history, and
 * only labels count in the loss.
 */
function rowsOf({ sequences, labels }: GoldenFile): LabelledRows {
  const [batch, length] = sequences.shape as [number, number];
  const transposed = (ids: NamedArray) =>
    Int32Array.from({ length: batch * length }, (_, row) => {
      return ids.data[(row % batch) * length + Math.floor(row / batch)]!;
    });
  return {
    active: new Int32Array(length).fill(batch),
    start: Int32Array.from({ length }, (_, t) => t * batch),
    rows: batch * length,
    inputs: transposed(sequences),
    targets: transposed(labels),
  };
}

/** Scores of rows z (rows x D) against items (count x D) on the first m coordinates, in double precision. */
function scores(
  z: Float32Array,
  items: Float32Array,
  width: number,
  rows: readonly number[],
  m: number,
): Float32Array {
  const count = items.length / width;
  const out = new Float32Array(rows.length * count);
  rows.forEach((row, r) => {
    for (let i = 0; i < count; i++) {
      let sum = 0;
      for (let d = 0; d < m; d++) sum += z[row * width + d]! * items[i * width + d]!;
      out[r * count + i] = sum;
    }
  });
  return out;
}

interface ScoreErrors {
  readonly last: number;
  readonly all: number;
}

function compareScores(
  golden: GoldenFile,
  model: Model,
  parameters: Parameters,
  rows: LabelledRows,
): ScoreErrors {
  const [batch, length] = golden.sequences.shape as [number, number];
  const width = golden.config.sizes.at(-1)!;
  const table = model.itemTable(parameters);
  const states = model.forward(parameters, table, rows);
  const z = states.dataSync() as Float32Array;
  const items = table.rows.dataSync() as Float32Array;
  states.dispose();
  table.dispose();
  const rowOf = (b: number, t: number) => t * batch + b;
  const lastRows = Array.from({ length: batch }, (_, b) => rowOf(b, length - 1));
  const last = golden.config.sizes.flatMap((m) => [...scores(z, items, width, lastRows, m)]);
  const allRows = Array.from({ length: batch * length }, (_, i) =>
    rowOf(Math.floor(i / length), i % length),
  );
  const all = scores(z, items, width, allRows, width);
  // What an implementation computes at padding is its own affair: nothing reads it.
  const padding = (score: number) =>
    golden.sequences.data[Math.floor(score / (golden.config.numItems + 1))] === 0;
  return {
    last: relativeError(last, golden.scoresLast.data),
    all: relativeError(all, golden.scoresAllLargest.data, padding),
  };
}

/** The greatest error over tensors, and whose it is. */
function greatestError(
  kind: string,
  got: NamedArrays,
  want: NamedArrays,
  gradients?: NamedArrays,
): { error: number; name: string } {
  let worst = { error: 0, name: kind };
  for (const [name, { data }] of want) {
    const small = gradients?.get(name)?.data;
    const skip = (i: number) => small !== undefined && Math.abs(small[i]!) < SMALL_GRADIENT;
    const error = relativeError(got.get(name)!.data, data, skip);
    if (error > worst.error) worst = { error, name: `${kind}.${name}` };
  }
  return worst;
}

function optimizerOf({ optimizer: o }: GoldenFile): AdamW {
  return createAdamW({
    lr: () => o.lr,
    betas: [o.beta1, o.beta2],
    eps: o.eps,
    weightDecay: o.weightDecay,
    decays: () => true,
    clipNorm: o.clipGlobalNorm,
  });
}

/**
 * @param json the parsed file.
 * @param options.steps optimiser steps to compare; fewer than the file has leaves the final parameters out.
 * @throws InvalidInput naming the key that is missing or wrong.
 */
export function compareGolden(
  json: unknown,
  options: { readonly steps?: number } = {},
): GoldenReport {
  const golden = parseGolden(json);
  const model = createModel(golden.config, golden.features);
  const parameters = model.createParameters(golden.parameters);
  const optimizer = optimizerOf(golden);
  try {
    return compare(golden, model, parameters, optimizer, options.steps ?? golden.losses.length);
  } finally {
    optimizer.dispose();
    disposeTensors(parameters);
    model.dispose();
  }
}

function compare(
  golden: GoldenFile,
  model: Model,
  parameters: Parameters,
  optimizer: AdamW,
  wantedSteps: number,
): GoldenReport {
  const rows = rowsOf(golden);
  const steps = Math.max(1, Math.min(wantedSteps, golden.losses.length));
  const scoreErrors = compareScores(golden, model, parameters, rows);
  const losses: number[] = [];
  let firstGradients: NamedArrays = new Map();
  let firstNorm = 0;
  for (let step = 0; step < steps; step++) {
    const { loss, gradients } = model.lossAndGradients(parameters, rows);
    losses.push(loss);
    if (step === 0) firstGradients = model.exportParameters(gradients);
    const { gradientNorm } = optimizer.step(parameters, gradients as Map<string, tf.Tensor>);
    if (step === 0) firstNorm = gradientNorm;
  }
  const gradients = greatestError('grads', firstGradients, golden.gradients);
  const complete = steps === golden.losses.length;
  const after = complete
    ? greatestError(
        'paramsAfter',
        model.exportParameters(parameters),
        golden.parametersAfter,
        golden.gradients,
      )
    : null;
  const parts: [string, number][] = [
    ['scoresLast', scoreErrors.last],
    ['scoresAllLargest', scoreErrors.all],
    ['losses', relativeError(losses, golden.losses.slice(0, steps))],
    [gradients.name, gradients.error],
    ['gradNorm', relativeError([firstNorm], [golden.gradientNorm])],
    ...(after === null ? [] : [[after.name, after.error] as [string, number]]),
  ];
  const [worst, greatest] = parts.reduce((a, b) => (b[1] > a[1] ? b : a));
  return {
    name: golden.name,
    errors: {
      scoresLast: parts[0]![1],
      scoresAllLargest: parts[1]![1],
      losses: parts[2]![1],
      gradients: gradients.error,
      gradientNorm: parts[4]![1],
      finalParameters: after?.error ?? null,
    },
    greatest,
    worst,
    steps,
  };
}
