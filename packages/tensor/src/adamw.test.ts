import * as tf from '@tensorflow/tfjs-core';
import { isError, InternalError } from '@nestrec/errors';
import { createRandom } from '@nestrec/random';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import {
  createAdamW,
  disposeTensors,
  globalNorm,
  selectBackend,
  type AdamWOptions,
  type RateFactors,
} from './index.js';

const OPTIONS: AdamWOptions = {
  lr: (step) => 0.01 / step,
  betas: [0.9, 0.99],
  eps: 1e-9,
  weightDecay: 0.1,
  decays: (name) => name === 'matrix',
  clipNorm: 1.5,
};
const SHAPES: Record<string, number[]> = { matrix: [3, 4], bias: [5] };

function start() {
  const random = createRandom(2);
  return Object.fromEntries(
    Object.entries(SHAPES).map(([name, shape]) => {
      const count = shape.reduce((a, b) => a * b);
      return [name, Float64Array.from({ length: count }, () => random.normal())];
    }),
  );
}

/** Gradients of step s; some below and some above the clip norm. */
function gradientsOf(step: number): Record<string, Float64Array> {
  const random = createRandom(100 + step);
  const magnitude = step % 2 === 0 ? 0.05 : 2;
  return Object.fromEntries(
    Object.entries(start()).map(([name, values]) => [
      name,
      values.map(() => magnitude * random.normal()),
    ]),
  );
}

/** Rates by row of the matrix, and by number of the bias. */
const FACTORS: Record<string, RateFactors> = {
  matrix: { along: 'rows', values: Float32Array.of(2, 1, 0.5) },
  bias: { along: 'columns', values: Float32Array.of(1, 0, 3, 1, 0.25) },
};

/** PyTorch's AdamW after clip_grad_norm_, in double precision; decay goes by the rate without factor. */
function reference(
  steps: number,
  factorOf: (name: string, i: number) => number = () => 1,
): Record<string, Float64Array> {
  const values = start();
  const m = Object.fromEntries(Object.entries(values).map(([n, v]) => [n, v.map(() => 0)]));
  const v = Object.fromEntries(Object.entries(values).map(([n, w]) => [n, w.map(() => 0)]));
  for (let step = 1; step <= steps; step++) {
    const gradients = gradientsOf(step);
    const norm = Math.sqrt(
      Object.values(gradients).reduce((sum, g) => sum + g.reduce((s, x) => s + x * x, 0), 0),
    );
    const scale = Math.min(1, OPTIONS.clipNorm / (norm + 1e-6));
    const lr = OPTIONS.lr(step);
    for (const [name, value] of Object.entries(values)) {
      const decay = OPTIONS.decays(name) ? OPTIONS.weightDecay : 0;
      value.forEach((_, i) => {
        const g = gradients[name]![i]! * scale;
        m[name]![i] = 0.9 * m[name]![i]! + 0.1 * g;
        v[name]![i] = 0.99 * v[name]![i]! + 0.01 * g * g;
        const mHat = m[name]![i]! / (1 - 0.9 ** step);
        const vHat = v[name]![i]! / (1 - 0.99 ** step);
        const rate = lr * factorOf(name, i);
        value[i] = value[i]! * (1 - lr * decay) - (rate * mHat) / (Math.sqrt(vHat) + OPTIONS.eps);
      });
    }
  }
  return values;
}

const upload = (arrays: Record<string, Float64Array>) =>
  new Map(
    Object.entries(arrays).map(([name, values]) => [
      name,
      tf.tidy(() => tf.variable(tf.tensor(Float32Array.from(values), SHAPES[name]))),
    ]),
  );
const uploadGradients = (arrays: Record<string, Float64Array>) =>
  new Map(
    Object.entries(arrays).map(([name, values]) => [
      name,
      tf.tensor(Float32Array.from(values), SHAPES[name]),
    ]),
  );

describe.each(suiteBackends)('AdamW on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it('takes the steps that PyTorch takes, with clipping and decay of the chosen parameters', () => {
    const before = tf.memory().numTensors;
    const parameters = upload(start());
    const optimizer = createAdamW(OPTIONS);
    for (let step = 1; step <= 6; step++) {
      optimizer.step(parameters, uploadGradients(gradientsOf(step)));
    }
    const want = reference(6);
    for (const [name, tensor] of parameters) {
      tensor.dataSync().forEach((value, i) => expect(value).toBeCloseTo(want[name]![i]!, 5));
    }
    expect(optimizer.steps()).toBe(6);
    optimizer.dispose();
    disposeTensors(parameters);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('moves rows or columns of a parameter at rates of their own', () => {
    const parameters = upload(start());
    const optimizer = createAdamW({ ...OPTIONS, factors: (name) => FACTORS[name]! });
    for (let step = 1; step <= 6; step++) {
      optimizer.step(parameters, uploadGradients(gradientsOf(step)));
    }
    const columns = SHAPES['matrix']![1]!;
    const want = reference(6, (name, i) => {
      const { along, values } = FACTORS[name]!;
      return values[along === 'rows' ? Math.floor(i / columns) : i]!;
    });
    for (const [name, tensor] of parameters) {
      tensor.dataSync().forEach((value, i) => expect(value).toBeCloseTo(want[name]![i]!, 5));
    }
    optimizer.dispose();
    disposeTensors(parameters);
  });

  it('continues from its state exactly as if it had not stopped', () => {
    const [through, stopped] = [upload(start()), upload(start())];
    const [first, second, third] = [OPTIONS, OPTIONS, OPTIONS].map(createAdamW);
    for (let step = 1; step <= 4; step++) {
      first!.step(through, uploadGradients(gradientsOf(step)));
      (step <= 2 ? second! : third!).step(stopped, uploadGradients(gradientsOf(step)));
      if (step === 2) third!.restore(second!.state(), second!.steps());
    }
    for (const [name, tensor] of through) {
      expect([...stopped.get(name)!.dataSync()]).toEqual([...tensor.dataSync()]);
    }
    [first!, second!, third!].forEach((optimizer) => optimizer.dispose());
    disposeTensors(through);
    disposeTensors(stopped);
  });

  it('leaves a parameter without a gradient as it is, and refuses a gradient without a parameter', () => {
    const parameters = upload(start());
    const optimizer = createAdamW(OPTIONS);
    const { matrix, bias } = gradientsOf(1);
    optimizer.step(parameters, uploadGradients({ matrix: matrix! }));
    expect(parameters.get('bias')!.dataSync()).toEqual(Float32Array.from(start()['bias']!));
    parameters.get('bias')!.dispose();
    parameters.delete('bias');
    let refused: unknown;
    const gradients = uploadGradients({ bias: bias! });
    try {
      optimizer.step(parameters, gradients);
    } catch (error) {
      refused = error;
    }
    expect(isError(refused, InternalError)).toBe(true);
    disposeTensors(gradients);
    disposeTensors(parameters);
    optimizer.dispose();
  });

  it('measures the norm over all gradients', () => {
    const gradients = new Map<string, tf.Tensor>([
      ['a', tf.tensor2d([3, 0, 0, 0], [2, 2])],
      ['b', tf.tensor1d([4])],
      ['c', tf.scalar(12)],
    ]);
    expect(globalNorm(gradients)).toBeCloseTo(13, 6);
    disposeTensors(gradients);
  });
});
