/**
 * AdamW with clipping to a global norm, as PyTorch computes it: decay is decoupled (parameters shrink by
 * lr * weightDecay before the step), and both moments are corrected for their start at zero.
 *
 * Knows parameters only by name. Its state is plain arrays plus a step count, for checkpoints.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { NamedArray, NamedArrays } from '@nestrec/contracts';
import { InternalError } from '@nestrec/errors';
import { hostNumbers, type TensorMap } from './arrays.js';
import { activeNative } from './native/native-backend.js';
import {
  nativeAdamW,
  nativeSumSquares,
  type AdamWUpdate,
  type RateFactors,
} from './native/native-tables.js';

export type { RateFactors };

export interface AdamWOptions {
  /** Learning rate of step 1, 2, ... */
  readonly lr: (step: number) => number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  /** Which parameters decay. */
  readonly decays: (name: string) => boolean;
  /** Gradients are scaled down to this global norm; Infinity never clips. */
  readonly clipNorm: number;
  /** Factors of the learning rate within a parameter; absent or null: 1. Decay goes by the rate alone. */
  readonly factors?: ((name: string, shape: readonly number[]) => RateFactors | null) | undefined;
}

export interface AdamW {
  /**
   * One step; updates the variables in place and disposes the gradients. A parameter without a gradient
   * stays as it is. The norm returned is that before clipping; whoever steps only a part of the parameters
   * hands over the norm of all gradients.
   */
  step(
    parameters: ReadonlyMap<string, tf.Variable>,
    gradients: TensorMap,
    norm?: number,
  ): { readonly gradientNorm: number };
  /** Steps done so far. */
  steps(): number;
  /** `NAME/m` and `NAME/v` of every parameter stepped so far. */
  state(): NamedArrays;
  /** Continues from a state taken after `steps` steps. */
  restore(state: NamedArrays, steps: number): void;
  dispose(): void;
}

/** PyTorch adds this to the norm before dividing by it. */
const CLIP_EPSILON = 1e-6;

/** Square root of the sum of squares over all gradients, summed row by row to keep float32 exact enough. */
export function globalNorm(gradients: TensorMap): number {
  const native = activeNative();
  let total = 0;
  if (native !== null) {
    for (const gradient of gradients.values()) total += nativeSumSquares(native, gradient);
    return Math.sqrt(total);
  }
  for (const gradient of gradients.values()) {
    const rows = gradient.rank < 2 ? 1 : gradient.shape[0]!;
    const sums = hostNumbers(() => tf.sum(tf.reshape(tf.square(gradient), [rows, -1]), 1));
    for (const sum of sums) total += sum;
  }
  return Math.sqrt(total);
}

interface Moments {
  readonly m: tf.Variable;
  readonly v: tf.Variable;
}

export function createAdamW(options: AdamWOptions): AdamW {
  const moments = new Map<string, Moments>();
  let steps = 0;

  const momentsOf = (name: string, parameter: tf.Tensor): Moments => {
    let found = moments.get(name);
    if (found === undefined) {
      const zeros = () => tf.tidy(() => tf.variable(tf.zeros(parameter.shape), false));
      found = { m: zeros(), v: zeros() };
      moments.set(name, found);
    }
    return found;
  };

  const dispose = () => {
    for (const { m, v } of moments.values()) tf.dispose([m, v]);
    moments.clear();
  };

  return {
    step(parameters, gradients, gradientNorm = globalNorm(gradients)) {
      steps++;
      for (const [name, gradient] of gradients) {
        const parameter = parameters.get(name);
        if (parameter === undefined) {
          throw new InternalError({ detail: `a gradient has no parameter: ${name}` });
        }
        const at = { name, shape: parameter.shape };
        const change = adamWUpdate(options, at, steps, gradientNorm);
        update(parameter, gradient, momentsOf(name, parameter), change);
        gradient.dispose();
      }
      return { gradientNorm };
    },
    steps: () => steps,
    state() {
      const arrays = new Map<string, NamedArray>();
      for (const [name, { m, v }] of moments) {
        for (const [key, tensor] of [
          ['m', m],
          ['v', v],
        ] as const) {
          const data = new Float32Array(tensor.dataSync());
          arrays.set(`${name}/${key}`, { shape: [...tensor.shape], data });
        }
      }
      return arrays;
    },
    restore(state, stepsDone) {
      dispose();
      steps = stepsDone;
      const load = (array: NamedArray | undefined, name: string) => {
        if (array === undefined) {
          throw new InternalError({ detail: `the optimiser's state lacks ${name}` });
        }
        return tf.tidy(() => tf.variable(tf.tensor(array.data, [...array.shape]), false));
      };
      for (const key of state.keys()) {
        if (!key.endsWith('/m')) continue;
        const name = key.slice(0, -2);
        moments.set(name, {
          m: load(state.get(`${name}/m`), `${name}/m`),
          v: load(state.get(`${name}/v`), `${name}/v`),
        });
      }
    },
    dispose,
  };
}

/** What step number `step`, counted from 1, does to a parameter. */
export function adamWUpdate(
  options: AdamWOptions,
  { name, shape }: { readonly name: string; readonly shape: readonly number[] },
  step: number,
  gradientNorm: number,
): AdamWUpdate {
  const [beta1, beta2] = options.betas;
  const lr = options.lr(step);
  return {
    scale: Math.min(1, options.clipNorm / (gradientNorm + CLIP_EPSILON)),
    shrink: options.decays(name) ? 1 - lr * options.weightDecay : 1,
    betas: options.betas,
    eps: options.eps,
    rate: lr / (1 - beta1 ** step),
    deviation: 1 / Math.sqrt(1 - beta2 ** step),
    factors: options.factors?.(name, shape) ?? null,
  };
}

/** The rate of every number, in a shape that spreads over the parameter's. */
function ratesOf({ rate, factors }: AdamWUpdate): tf.Tensor | number {
  if (factors === null) return rate;
  const rates = tf.tensor(factors.values.map((factor) => rate * factor));
  return factors.along === 'rows' ? tf.reshape(rates, [-1, 1]) : rates;
}

function update(
  parameter: tf.Variable,
  gradient: tf.Tensor,
  moments: Moments,
  u: AdamWUpdate,
): void {
  const native = activeNative();
  if (native !== null) return nativeAdamW(native, parameter, moments, gradient, u);
  const [beta1, beta2] = u.betas;
  const { m, v } = moments;
  // Each tidy frees what it no longer needs before the next begins: the peak of a wide model's memory is here.
  tf.tidy(() => {
    // The clip scale is folded into the moments' factors: no pass over the gradient for it alone.
    m.assign(tf.tidy(() => tf.add(tf.mul(m, beta1), tf.mul(gradient, (1 - beta1) * u.scale))));
    v.assign(
      tf.tidy(() => {
        const square = tf.tidy(() => tf.mul(tf.square(gradient), (1 - beta2) * u.scale * u.scale));
        return tf.add(tf.mul(v, beta2), square);
      }),
    );
    const change = tf.tidy(() => {
      const deviation = tf.tidy(() => tf.add(tf.mul(tf.sqrt(v), u.deviation), u.eps));
      return tf.mul(tf.div(m, deviation), ratesOf(u));
    });
    const shrunk = u.shrink === 1 ? parameter : tf.mul(parameter, u.shrink);
    parameter.assign(tf.sub(shrunk, change));
  });
}
