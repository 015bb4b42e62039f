/**
 * Measures the active backend in a fraction of a second: a small training step of our own operations, and a
 * square product. Knows neither which backend it is nor what becomes of the figures.
 */
import * as tf from '@tensorflow/tfjs-core';
import { createRandom } from '@nestrec/random';
import { createAdamW } from './adamw.js';
import { hostNumbers } from './arrays.js';
import { nestedCrossEntropy } from './nested-cross-entropy.js';
import {
  nestedLinear,
  nestedLinearBackward,
  nestedMask,
  type NestedShape,
} from './nested-linear.js';

export interface BackendFigures {
  /** Of the probe's training step, the better of two. */
  readonly stepMs: number;
  /** Of a product of two matrices of 1,024 x 1,024, the best of up to four. */
  readonly gflops: number;
}

/** Changes with what is measured: figures of another probe do not compare. */
export const PROBE = 'step of 128 labels, 4,096 items, sizes 32, 64, 128; product of 1,024^3';
const [LABELS, ITEMS] = [128, 4_096];
const SIZES = [32, 64, 128];
const EDGE = 1_024;
/** What takes longer is not repeated. */
const LONG_MS = 1_000;

function clockedMs(work: () => void): number {
  const startedMs = performance.now();
  work();
  return performance.now() - startedMs;
}

/** A function that does one step: a nested layer, the cross-entropy over all items, and AdamW. */
function createStep(): () => void {
  const random = createRandom(1);
  const width = SIZES.at(-1)!;
  const normals = (rows: number) =>
    tf.tensor2d(
      Float32Array.from({ length: rows * width }, () => random.normal() / Math.sqrt(width)),
      [rows, width],
    );
  const shape: NestedShape = { sizes: SIZES, outParts: 1, inParts: 1 };
  const [inputs, mask] = [normals(LABELS), nestedMask(shape)];
  const parameters = new Map([
    ['items', tf.variable(normals(ITEMS))],
    ['weight', tf.variable(tf.mul(normals(width), mask))],
  ]);
  const optimizer = createAdamW({
    ...{ lr: () => 1e-3, betas: [0.9, 0.999], eps: 1e-9, weightDecay: 0.01, clipNorm: 5 },
    decays: () => true,
  });
  const targets = Int32Array.from({ length: LABELS }, () => random.int(ITEMS));
  return () => {
    const gradients = tf.tidy(() => {
      const items = parameters.get('items') as tf.Tensor as tf.Tensor2D;
      const weight = parameters.get('weight') as tf.Tensor as tf.Tensor2D;
      const states = nestedLinear(inputs, weight, null, shape);
      const loss = nestedCrossEntropy({
        ...{ states, items, itemColumns: tf.transpose(items), targets, sizes: SIZES },
        ...{ weights: SIZES.map(() => 1 / SIZES.length), logScales: null },
      });
      const layer = nestedLinearBackward(loss.gradients.states, inputs, weight, mask, shape);
      return { items: loss.gradients.items, weight: layer.weight } as unknown as tf.NamedTensorMap;
    }) as unknown as Record<string, tf.Tensor>;
    optimizer.step(parameters, new Map(Object.entries(gradients)));
    // Some backends compute only what is asked for.
    hostNumbers(() => tf.sum(parameters.get('weight')!));
  };
}

function bestProductMs(): number {
  const [a, b] = [tf.ones([EDGE, EDGE]), tf.ones([EDGE, EDGE])];
  let best = Infinity;
  for (let i = 0; i < 4; i++) {
    const ms = clockedMs(() => void hostNumbers(() => tf.slice(tf.matMul(a, b), [0, 0], [1, 1])));
    best = Math.min(best, ms);
    if (ms > LONG_MS) break;
  }
  return best;
}

/** Leaves its tensors behind: it is made for a process that ends with it. */
export function probeActiveBackend(): BackendFigures {
  const step = createStep();
  // The first one compiles and grows memory: it counts only where that cannot matter.
  const firstMs = clockedMs(step);
  const stepMs = firstMs > LONG_MS ? firstMs : Math.min(clockedMs(step), clockedMs(step));
  return { stepMs, gflops: (2 * EDGE ** 3) / bestProductMs() / 1e6 };
}
