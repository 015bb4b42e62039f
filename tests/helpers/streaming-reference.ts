/**
 * A second, slow implementation of model.md section 1 in complex doubles, written from the page and not
 * from the code under test, with random models and histories to run it on.
 */
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import { createRandom, type Random } from '@nestrec/random';

type Complex = [number, number];

export interface TestModel {
  readonly config: ModelConfig;
  readonly params: Map<string, { shape: readonly number[]; data: Float32Array }>;
}

/** Every parameter perturbed; |lambda| between `rMin` and `rMax`. */
export function randomModel(
  seed: number,
  shape: { sizes: number[]; blocks: number; rMin?: number; rMax?: number },
): TestModel {
  const { sizes, blocks, rMin = 0.3, rMax = 0.8 } = shape;
  const random = createRandom(seed);
  const dim = sizes.at(-1)!;
  const params: TestModel['params'] = new Map();
  const put = (name: string, dims: number[], value: () => number) => {
    const length = dims.reduce((a, b) => a * b, 1);
    params.set(name, { shape: dims, data: Float32Array.from({ length }, value) });
  };
  put('embedding.projector.bias', [dim], () => random.normal() * 0.3);
  for (let k = 0; k < blocks; k++) {
    const prefix = `model.lru_blocks.${k}`;
    const radius = () => rMin + (rMax - rMin) * random.uniform();
    const rows = [
      Array.from({ length: dim }, () => Math.log(-Math.log(radius()))),
      Array.from({ length: dim }, () => Math.log(2 * Math.PI * (1e-3 + random.uniform()))),
      Array.from({ length: dim }, () => random.normal() * 0.2),
    ].flat();
    params.set(`${prefix}.lru_layer.params_log`, {
      shape: [3, dim],
      data: Float32Array.from(rows),
    });
    sizes.forEach((size, s) => {
      const out = size - (sizes[s - 1] ?? 0);
      const weight = () => ((random.uniform() * 2 - 1) * 1.2) / Math.sqrt(size);
      for (const norm of ['input_layernorm', 'post_lru_layernorm']) {
        put(`${prefix}.${norm}.layernorm_${s}.weight`, [out], () => 1 + random.normal() * 0.1);
        put(`${prefix}.${norm}.layernorm_${s}.bias`, [out], () => random.normal() * 0.1);
      }
      for (const name of ['lru_layer.in_proj', 'lru_layer.out_proj']) {
        put(`${prefix}.${name}.mrl_linear_${s}.weight`, [out, size, 2], weight);
        put(`${prefix}.${name}.mrl_linear_${s}.bias`, [out, 2], weight);
      }
      for (const name of ['gate', 'w_1', 'w_2']) {
        put(`${prefix}.feed_forward.${name}.mrl_linear_${s}.weight`, [out, size], weight);
        put(`${prefix}.feed_forward.${name}.mrl_linear_${s}.bias`, [out], weight);
      }
    });
  }
  const config: ModelConfig = {
    ...{ sizes, blocks, featureWidth: 4, numItems: 10, useBias: true, itemResidual: false },
    ...{ scoreScale: false, rMin, rMax },
  };
  return { config, params };
}

export function randomVectors(random: Random, count: number, dim: number): Float32Array[] {
  return Array.from({ length: count }, () =>
    Float32Array.from({ length: dim }, () => random.normal() * 0.5),
  );
}

/** z after a history, computed position by position over all blocks (dropout 0). */
export function referenceQuery(model: TestModel, history: readonly Float32Array[]): number[] {
  const { config, params } = model;
  const dim = config.sizes.at(-1)!;
  // The empty history: x = p with h = 0 in every block.
  const empty = history.length === 0;
  let xs = (empty ? [params.get('embedding.projector.bias')!.data] : history).map((v) => [...v]);
  for (let k = 0; k < config.blocks; k++) {
    const prefix = `model.lru_blocks.${k}`;
    const log = params.get(`${prefix}.lru_layer.params_log`)!.data;
    let h: Complex[] = Array.from({ length: dim }, () => [0, 0]);
    xs = xs.map((x) => {
      const u = segmentNorm(params, `${prefix}.input_layernorm`, config.sizes, x);
      const projected = complexNested(
        params,
        `${prefix}.lru_layer.in_proj`,
        config.sizes,
        u.map((value): Complex => [value, 0]),
      );
      if (!empty) {
        h = h.map(([re, im], i) => {
          const size = Math.exp(-Math.exp(log[i]!));
          const angle = Math.exp(log[dim + i]!);
          const gamma = Math.exp(log[2 * dim + i]!);
          const [lr, li] = [size * Math.cos(angle), size * Math.sin(angle)];
          const [vr, vi] = projected[i]!;
          return [lr * re - li * im + gamma * vr, lr * im + li * re + gamma * vi];
        });
      }
      const read = complexNested(params, `${prefix}.lru_layer.out_proj`, config.sizes, h);
      const a = x.map((value, i) => value + read[i]![0]);
      const g = segmentNorm(params, `${prefix}.post_lru_layernorm`, config.sizes, a);
      const linear = (name: string, input: number[]) =>
        nested(params, `${prefix}.feed_forward.${name}`, config.sizes, input);
      const gate = linear('gate', g).map((value) => value / (1 + Math.exp(-value)));
      const up = linear('w_1', g);
      const down = linear(
        'w_2',
        gate.map((value, i) => value * up[i]!),
      );
      return a.map((value, i) => value + down[i]!);
    });
  }
  return xs.at(-1)!;
}

function segmentNorm(params: NamedArrays, prefix: string, sizes: number[], x: number[]): number[] {
  return sizes.flatMap((size, s) => {
    const part = x.slice(sizes[s - 1] ?? 0, size);
    const mean = part.reduce((a, b) => a + b, 0) / part.length;
    const variance = part.reduce((a, b) => a + (b - mean) ** 2, 0) / part.length;
    const gain = params.get(`${prefix}.layernorm_${s}.weight`)!.data;
    const bias = params.get(`${prefix}.layernorm_${s}.bias`)!.data;
    return part.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-5)) * gain[i]! + bias[i]!);
  });
}

function nested(params: NamedArrays, prefix: string, sizes: number[], x: number[]): number[] {
  return sizes.flatMap((size, s) => {
    const weight = params.get(`${prefix}.mrl_linear_${s}.weight`)!.data;
    const bias = params.get(`${prefix}.mrl_linear_${s}.bias`)!.data;
    return [...bias].map((b, row) =>
      x.slice(0, size).reduce((sum, v, i) => sum + weight[row * size + i]! * v, b),
    );
  });
}

function complexNested(
  params: NamedArrays,
  prefix: string,
  sizes: number[],
  x: Complex[],
): Complex[] {
  return sizes.flatMap((size, s) => {
    const weight = params.get(`${prefix}.mrl_linear_${s}.weight`)!.data;
    const bias = params.get(`${prefix}.mrl_linear_${s}.bias`)!.data;
    const rows = size - (sizes[s - 1] ?? 0);
    return Array.from({ length: rows }, (_, row) => {
      const sum: Complex = [bias[2 * row]!, bias[2 * row + 1]!];
      for (let i = 0; i < size; i++) {
        const [wr, wi] = [weight[2 * (row * size + i)]!, weight[2 * (row * size + i) + 1]!];
        sum[0] += wr * x[i]![0] - wi * x[i]![1];
        sum[1] += wr * x[i]![1] + wi * x[i]![0];
      }
      return sum;
    });
  });
}

/** Greatest difference over the greatest reference entry. */
export function relativeError(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (got.length !== wanted.length) return Infinity;
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < wanted.length; i++) {
    const gap = Math.abs(got[i]! - wanted[i]!);
    difference = Number.isNaN(gap) ? Infinity : Math.max(difference, gap);
    largest = Math.max(largest, Math.abs(wanted[i]!));
  }
  return difference / Math.max(largest, 1e-30);
}
