/**
 * The model's loss in double precision, one sequence and one number at a time: a reference that shares no code
 * with the packages. Gradients are central differences of it.
 *
 * Parameters are stored arrays (golden names). Slow on purpose; for models of a few hundred parameters.
 */
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';

export interface ReferenceCase {
  readonly config: ModelConfig;
  /** N x F. */
  readonly features: ArrayLike<number>;
  /** Inputs (0 = empty history) and targets (0 = no label) of each sequence. */
  readonly sequences: readonly { inputs: readonly number[]; targets: readonly number[] }[];
  /** Weight of each size, summing to 1. */
  readonly weights: readonly number[];
  /** Weight of each early exit of the configuration beside the full depth. */
  readonly exitWeight?: number;
}

export type Numbers = Map<string, Float64Array>;

export const toNumbers = (parameters: NamedArrays): Numbers =>
  new Map([...parameters].map(([name, { data }]) => [name, Float64Array.from(data)]));

const ranges = (sizes: readonly number[]) =>
  sizes.map((end, i) => ({ begin: i === 0 ? 0 : sizes[i - 1]!, end }));

/** E_i, row 0 = the padding row. */
function itemRow(c: ReferenceCase, p: Numbers, item: number): Float64Array {
  const { featureWidth, sizes } = c.config;
  const width = sizes.at(-1)!;
  const row = Float64Array.from(p.get('embedding.projector.bias')!);
  if (item === 0) return row;
  const residual = p.get('embedding.item_residual');
  for (let d = 0; d < width; d++) {
    for (let f = 0; f < featureWidth; f++) {
      row[d]! +=
        p.get('embedding.projector.weight')![d * featureWidth + f]! *
        c.features[(item - 1) * featureWidth + f]!;
    }
    if (residual !== undefined) row[d]! += residual[(item - 1) * width + d]!;
  }
  return row;
}

function segmentNorm(x: Float64Array, p: Numbers, prefix: string, sizes: readonly number[]) {
  const out = new Float64Array(x.length);
  ranges(sizes).forEach(({ begin, end }, i) => {
    const part = x.subarray(begin, end);
    const mean = part.reduce((a, b) => a + b, 0) / part.length;
    const variance = part.reduce((a, b) => a + (b - mean) ** 2, 0) / part.length;
    for (let d = begin; d < end; d++) {
      const gain = p.get(`${prefix}.layernorm_${i}.weight`)![d - begin]!;
      const bias = p.get(`${prefix}.layernorm_${i}.bias`)![d - begin]!;
      out[d] = ((x[d]! - mean) / Math.sqrt(variance + 1e-5)) * gain + bias;
    }
  });
  return out;
}

/** Re and Im of a nested linear on (re, im); real layers have one number a weight. */
function nestedLinear(
  re: Float64Array,
  im: Float64Array,
  p: Numbers,
  prefix: string,
  sizes: readonly number[],
  complex: boolean,
): [Float64Array, Float64Array] {
  const step = complex ? 2 : 1;
  const outRe = new Float64Array(re.length);
  const outIm = new Float64Array(re.length);
  ranges(sizes).forEach(({ begin, end }, i) => {
    const weight = p.get(`${prefix}.mrl_linear_${i}.weight`)!;
    const bias = p.get(`${prefix}.mrl_linear_${i}.bias`);
    for (let o = 0; o < end - begin; o++) {
      let sumRe = bias?.[o * step] ?? 0;
      let sumIm = complex ? (bias?.[o * step + 1] ?? 0) : 0;
      for (let d = 0; d < end; d++) {
        const wRe = weight[(o * end + d) * step]!;
        const wIm = complex ? weight[(o * end + d) * step + 1]! : 0;
        sumRe += wRe * re[d]! - wIm * im[d]!;
        sumIm += wRe * im[d]! + wIm * re[d]!;
      }
      outRe[begin + o] = sumRe;
      outIm[begin + o] = sumIm;
    }
  });
  return [outRe, outIm];
}

/** z of every position of one sequence, after the first `blocks` blocks. */
export function referenceStates(
  c: ReferenceCase,
  p: Numbers,
  inputs: readonly number[],
  blocks = c.config.blocks,
): Float64Array[] {
  const { sizes } = c.config;
  const width = sizes.at(-1)!;
  const none = new Float64Array(width);
  let xs = inputs.map((item) => itemRow(c, p, item));
  for (let block = 0; block < blocks; block++) {
    const prefix = `model.lru_blocks.${block}`;
    const logs = p.get(`${prefix}.lru_layer.params_log`)!;
    let hRe = new Float64Array(width);
    let hIm = new Float64Array(width);
    xs = xs.map((x, t) => {
      const u = segmentNorm(x, p, `${prefix}.input_layernorm`, sizes);
      const [vRe, vIm] = nestedLinear(u, none, p, `${prefix}.lru_layer.in_proj`, sizes, true);
      const nextRe = new Float64Array(width);
      const nextIm = new Float64Array(width);
      for (let d = 0; d < width && inputs[t] !== 0; d++) {
        const modulus = Math.exp(-Math.exp(logs[d]!));
        const angle = Math.exp(logs[width + d]!);
        const gamma = Math.exp(logs[2 * width + d]!);
        const [lRe, lIm] = [modulus * Math.cos(angle), modulus * Math.sin(angle)];
        nextRe[d] = lRe * hRe[d]! - lIm * hIm[d]! + gamma * vRe[d]!;
        nextIm[d] = lRe * hIm[d]! + lIm * hRe[d]! + gamma * vIm[d]!;
      }
      [hRe, hIm] = [nextRe, nextIm];
      const [read] = nestedLinear(hRe, hIm, p, `${prefix}.lru_layer.out_proj`, sizes, true);
      const a = x.map((value, d) => value + read[d]!);
      const g = segmentNorm(a, p, `${prefix}.post_lru_layernorm`, sizes);
      const linear = (y: Float64Array, name: string) =>
        nestedLinear(y, none, p, `${prefix}.feed_forward.${name}`, sizes, false)[0];
      const gate = linear(g, 'gate');
      const value = linear(g, 'w_1');
      const inner = gate.map((y, d) => (y / (1 + Math.exp(-y))) * value[d]!);
      const last = linear(inner, 'w_2');
      return a.map((y, d) => y + last[d]!);
    });
  }
  return xs;
}

/** Mean cross-entropy over labels, weighted over sizes, and over the full depth and the early exits. */
export function referenceLoss(c: ReferenceCase, p: Numbers): number {
  const { sizes, blocks, exits = [] } = c.config;
  const { exitWeight = 1 } = c;
  let loss = outputLoss(c, p, blocks, c.weights);
  for (const exit of exits) {
    const own = c.weights.slice(0, sizes.indexOf(exit.dim) + 1);
    const sum = own.reduce((a, b) => a + b);
    const weights = own.map((weight) => weight / sum);
    loss += exitWeight * outputLoss(c, p, exit.blocks, weights);
  }
  return loss / (1 + exitWeight * exits.length);
}

function outputLoss(
  c: ReferenceCase,
  p: Numbers,
  blocks: number,
  weights: readonly number[],
): number {
  const { sizes, numItems } = c.config;
  const items = Array.from({ length: numItems + 1 }, (_, i) => itemRow(c, p, i));
  const logScales = p.get('head.log_score_scale');
  let loss = 0;
  let labels = 0;
  for (const { inputs, targets } of c.sequences) {
    referenceStates(c, p, inputs, blocks).forEach((z, t) => {
      const target = targets[t]!;
      if (target === 0) return;
      labels++;
      weights.forEach((weight, k) => {
        const m = sizes[k]!;
        const scale = logScales === undefined ? 1 : Math.exp(logScales[k]!);
        const scores = items.map((row) => {
          let sum = 0;
          for (let d = 0; d < m; d++) sum += z[d]! * row[d]!;
          return scale * sum;
        });
        const largest = Math.max(...scores);
        const total = scores.reduce((a, s) => a + Math.exp(s - largest), 0);
        loss += weight * (largest + Math.log(total) - scores[target]!);
      });
    });
  }
  return labels === 0 ? 0 : loss / labels;
}

/** Central differences of the loss by every number of every parameter (or of those named). */
export function referenceGradients(
  c: ReferenceCase,
  p: Numbers,
  names: readonly string[] = [...p.keys()],
): Numbers {
  const step = 1e-5;
  return new Map(
    names.map((name) => {
      const values = p.get(name)!;
      const gradient = values.map((value, i) => {
        values[i] = value + step;
        const above = referenceLoss(c, p);
        values[i] = value - step;
        const below = referenceLoss(c, p);
        values[i] = value;
        return (above - below) / (2 * step);
      });
      return [name, gradient];
    }),
  );
}
