/**
 * One LRU block made ready for single events: its parameters read by name, checked, and folded
 * together (segment-norm gains and gamma go into the matrices), and the two halves of its computation.
 *
 * Names and shapes are those of the golden files (docs/model.md); knows nothing of users or blocks
 * around it.
 */
import type { NamedArrays } from '@nestrec/contracts';
import { InvalidModelConfig } from '@nestrec/errors';
import {
  foldNorm,
  multiply,
  nestedWeights,
  normalise,
  type NestedMatrix,
  type Sizes,
} from './segments.js';

export interface PreparedBlock {
  /** gamma (Bc SegmentNorm1(.) + bB), without the normalisation itself. */
  readonly inputRe: NestedMatrix;
  readonly inputIm: NestedMatrix;
  /** |lambda| = exp(-nu), length D. */
  readonly nu: Float64Array;
  /** Angle of lambda, length D. */
  readonly theta: Float64Array;
  readonly lambdaRe: Float64Array;
  readonly lambdaIm: Float64Array;
  /** Re(Cc h + bC) = outputRe Re h - outputIm Im h; the bias is in outputRe. */
  readonly outputRe: NestedMatrix;
  readonly outputIm: NestedMatrix;
  /** W2 [SiLU(Wg SegmentNorm2(a) + bg) * (W1 SegmentNorm2(a) + b1)] + b2, norms folded in. */
  readonly gate: NestedMatrix;
  readonly up: NestedMatrix;
  readonly down: NestedMatrix;
}

/** Buffers of `rows` x D doubles that calculations share; nothing in them outlives a call. */
export interface Scratch {
  readonly rows: number;
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly c: Float64Array;
  readonly d: Float64Array;
}

export function createScratch(dim: number, rows = 1): Scratch {
  const buffer = () => new Float64Array(rows * dim);
  return { rows, a: buffer(), b: buffer(), c: buffer(), d: buffer() };
}

/**
 * What an event adds to h, `v = gamma (Bc SegmentNorm1(x) + bB)`, for each of `rows` inputs, D apart.
 * 4 nz + 8 D operations each.
 */
export function blockInput(
  block: PreparedBlock,
  sizes: Sizes,
  x: Float64Array,
  vRe: Float64Array,
  vIm: Float64Array,
  scratch: Scratch,
  rows = 1,
): void {
  normalise(sizes, sizes.length, x, scratch.a, rows);
  multiply(block.inputRe, sizes, sizes.length, scratch.a, vRe, rows);
  multiply(block.inputIm, sizes, sizes.length, scratch.a, vIm, rows);
}

/**
 * The block's output from its input x and its h, on the first `upTo` segments; replaces `x`. h lies in
 * `scratch.a` (real) and `scratch.b` (imaginary); `rows` of everything, D apart. 10 nz + about 25 D
 * operations each, one of them an exponential, all on those segments only.
 */
export function blockReadout(
  block: PreparedBlock,
  sizes: Sizes,
  upTo: number,
  x: Float64Array,
  scratch: Scratch,
  rows = 1,
): void {
  const { a, b, c, d } = scratch;
  const dim = sizes[sizes.length - 1]!;
  const width = sizes[upTo - 1]!;
  multiply(block.outputRe, sizes, upTo, a, c, rows);
  multiply(block.outputIm, sizes, upTo, b, d, rows);
  for (let from = 0; from < rows * dim; from += dim) {
    for (let i = from; i < from + width; i++) x[i] = x[i]! + c[i]! - d[i]!;
  }
  normalise(sizes, upTo, x, a, rows);
  multiply(block.gate, sizes, upTo, a, b, rows);
  multiply(block.up, sizes, upTo, a, c, rows);
  for (let from = 0; from < rows * dim; from += dim) {
    for (let i = from; i < from + width; i++) c[i] = (c[i]! * b[i]!) / (1 + Math.exp(-b[i]!));
  }
  multiply(block.down, sizes, upTo, c, d, rows);
  for (let from = 0; from < rows * dim; from += dim) {
    for (let i = from; i < from + width; i++) x[i] = x[i]! + d[i]!;
  }
}

/**
 * Block `index` of a model.
 *
 * @throws InvalidModelConfig where an array is missing or has another shape than the sizes ask for.
 */
export function prepareBlock(
  params: NamedArrays,
  sizes: Sizes,
  index: number,
  useBias: boolean,
): PreparedBlock {
  const prefix = `model.lru_blocks.${index}`;
  const dim = sizes[sizes.length - 1]!;
  const log = readArray(params, `${prefix}.lru_layer.params_log`, [3, dim]);
  const nu = Float64Array.from(log.subarray(0, dim), Math.exp);
  const theta = Float64Array.from(log.subarray(dim, 2 * dim), Math.exp);
  const gamma = Float64Array.from(log.subarray(2 * dim), Math.exp);
  const norm = (name: string, part: string) => readNorm(params, `${prefix}.${name}`, part, sizes);
  const nested = (name: string, part: 0 | 1, parts: 1 | 2) =>
    readNested(params, `${prefix}.${name}`, sizes, useBias, part, parts);
  const before = (name: string, matrix: NestedMatrix, rowScale?: Float64Array) =>
    foldNorm(matrix, sizes, norm(name, 'weight'), norm(name, 'bias'), rowScale);
  const outputIm = nested('lru_layer.out_proj', 1, 2);
  return {
    inputRe: before('input_layernorm', nested('lru_layer.in_proj', 0, 2), gamma),
    inputIm: before('input_layernorm', nested('lru_layer.in_proj', 1, 2), gamma),
    nu,
    theta,
    lambdaRe: nu.map((n, i) => Math.exp(-n) * Math.cos(theta[i]!)),
    lambdaIm: nu.map((n, i) => Math.exp(-n) * Math.sin(theta[i]!)),
    outputRe: nested('lru_layer.out_proj', 0, 2),
    // Im bC is never seen: the real part of Cc h + bC is kept.
    outputIm: { weights: outputIm.weights, bias: new Float64Array(dim) },
    gate: before('post_lru_layernorm', nested('feed_forward.gate', 0, 1)),
    up: before('post_lru_layernorm', nested('feed_forward.w_1', 0, 1)),
    down: nested('feed_forward.w_2', 0, 1),
  };
}

/** The data of a named array of exactly this shape. */
export function readArray(
  params: NamedArrays,
  name: string,
  shape: readonly number[],
): Float32Array {
  const array = params.get(name);
  const want = `[${shape.join(', ')}]`;
  if (array === undefined) {
    throw new InvalidModelConfig({ detail: `parameter ${name} ${want} is missing` });
  }
  const length = shape.reduce((product, n) => product * n, 1);
  if (array.shape.join() !== shape.join() || array.data.length !== length) {
    throw new InvalidModelConfig({
      detail: `parameter ${name}: got shape [${array.shape.join(', ')}], wanted ${want}`,
    });
  }
  return array.data;
}

/** The gains (`weight`) or biases of a segment norm, all segments in one array of length D. */
function readNorm(params: NamedArrays, prefix: string, part: string, sizes: Sizes): Float32Array {
  const out = new Float32Array(sizes[sizes.length - 1]!);
  sizes.forEach((size, i) => {
    const from = sizes[i - 1] ?? 0;
    out.set(readArray(params, `${prefix}.layernorm_${i}.${part}`, [size - from]), from);
  });
  return out;
}

/** A nested linear; of a complex one (`parts` 2, last axis (real, imaginary)) the asked part. */
function readNested(
  params: NamedArrays,
  prefix: string,
  sizes: Sizes,
  useBias: boolean,
  part: 0 | 1,
  parts: 1 | 2,
): NestedMatrix {
  const weights = new Float32Array(nestedWeights(sizes));
  const bias = new Float64Array(sizes[sizes.length - 1]!);
  const last = parts === 2 ? [2] : [];
  let offset = 0;
  sizes.forEach((size, s) => {
    const from = sizes[s - 1] ?? 0;
    const rows = size - from;
    const name = `${prefix}.mrl_linear_${s}`;
    const data = readArray(params, `${name}.weight`, [rows, size, ...last]);
    for (let i = 0; i < rows * size; i++) weights[offset + i] = data[parts * i + part]!;
    offset += rows * size;
    if (!useBias) return;
    const shift = readArray(params, `${name}.bias`, [rows, ...last]);
    for (let i = 0; i < rows; i++) bias[from + i] = shift[parts * i + part]!;
  });
  return { weights, bias };
}
