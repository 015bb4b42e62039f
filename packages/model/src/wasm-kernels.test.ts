/** What a training step runs on wasm, kernel by kernel: none of those that decision 0009 found slow on large tensors. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRandom } from '@nestrec/random';
import { createAdamW, disposeTensors, selectBackend } from '@nestrec/tensor';
import { packed, smallModel } from '../../../tests/helpers/small-model.js';
import { createModel } from './model.js';

interface Run {
  readonly kernel: string;
  readonly attributes: Record<string, unknown>;
  /** Numbers of the largest input. */
  readonly numbers: number;
  readonly shapes: readonly (readonly number[])[];
}

/** Runs `work` with every kernel of wasm listened to. */
function runsOf(work: () => void): Run[] {
  const runs: Run[] = [];
  const kernels = tf.getKernelsForBackend('wasm');
  for (const kernel of kernels) {
    tf.unregisterKernel(kernel.kernelName, 'wasm');
    tf.registerKernel({
      ...kernel,
      kernelFunc: (call) => {
        const shapes = Object.values(call.inputs)
          .flat()
          .map((input) => input!.shape);
        runs.push({
          ...{ kernel: kernel.kernelName, shapes },
          attributes: { ...call.attrs },
          numbers: Math.max(0, ...shapes.map((shape) => tf.util.sizeFromShape([...shape]))),
        });
        return kernel.kernelFunc(call);
      },
    });
  }
  try {
    work();
  } finally {
    for (const kernel of kernels) {
      tf.unregisterKernel(kernel.kernelName, 'wasm');
      tf.registerKernel(kernel);
    }
  }
  return runs;
}

/** No two of items, width, features and labels are equal, so that no shape can be mistaken. */
const ITEMS = 700;
const WIDTH = 24;
const LENGTHS = Array.from({ length: 12 }, (_, s) => 13 - s);
/** Above this a tensor is large: neither a bias, nor a weight of a block, nor the constant matrices. */
const LARGE = 2 * WIDTH * WIDTH;

function stepRuns(): Run[] {
  const { config, parameters, features, sequences } = smallModel(
    {
      ...{ sizes: [6, 12, WIDTH], numItems: ITEMS, featureWidth: 37, blocks: 2 },
      ...{ itemResidual: true, scoreScale: true },
    },
    LENGTHS,
    4,
  );
  const model = createModel(config, features);
  const variables = model.createParameters(parameters);
  const optimizer = createAdamW({
    ...{ lr: () => 1e-3, betas: [0.9, 0.999], eps: 1e-9, weightDecay: 0.01, clipNorm: 5 },
    decays: () => true,
  });
  const rates = config.sizes.map(() => 0.3);
  const settings = { dropout: rates, residualDrop: rates, random: createRandom(1) };
  const runs = runsOf(() => {
    const { gradients } = model.lossAndGradients(variables, packed(sequences), settings);
    optimizer.step(variables, gradients);
  });
  optimizer.dispose();
  disposeTensors(variables);
  model.dispose();
  return runs;
}

beforeAll(() => selectBackend({ force: 'wasm' }));

describe('a training step on wasm', () => {
  it('runs these kernels and no others', () => {
    expect([...new Set(stepRuns().map(({ kernel }) => kernel))].sort()).toEqual(KERNELS);
  });

  it('multiplies without transposing an operand', () => {
    const products = stepRuns().filter(({ kernel }) => /MatMul/.test(kernel));
    expect(products.length).toBeGreaterThan(50);
    const transposed = products.filter(
      ({ attributes }) => attributes['transposeA'] === true || attributes['transposeB'] === true,
    );
    expect(transposed).toEqual([]);
  });

  it.each([
    ['rows by gather, 17 times as slow as gatherND', /^GatherV2$/],
    ['rows summed by segment, which wasm cannot', /SegmentSum|^SparseSegment/],
    ['comparisons with a broadcast operand', /^(Greater|Less|Equal|NotEqual|SelectV2)/],
    ['exponentials outside a softmax, seven times as slow', /^(Exp|Expm1|Log|LogSoftmax)$/],
    ['tensors of one number repeated, or tiled', /^(Tile|OneHot|BroadcastTo)$/],
  ])('has no large %s', (_, slow) => {
    const found = stepRuns().filter(({ kernel, numbers }) => slow.test(kernel) && numbers > LARGE);
    expect(found).toEqual([]);
  });

  it('cuts no part out of a large tensor, which copies all of it', () => {
    const parts = stepRuns().filter(({ kernel, numbers, attributes }) => {
      if (!/^(Slice|StridedSlice|SplitV)$/.test(kernel) || numbers <= LARGE) return false;
      // All but the padding row: as good as a copy.
      const size = (attributes['size'] as number[] | undefined) ?? [0];
      return tf.util.sizeFromShape(size) < 0.9 * numbers;
    });
    expect(parts).toEqual([]);
  });

  it('sums over no first axis but by a product, four times as fast', () => {
    const sums = stepRuns().filter(({ kernel, numbers }) => kernel === 'Sum' && numbers > LARGE);
    const wrong = sums.filter(({ attributes, shapes }) => {
      const axes = [attributes['axis']].flat().map(Number);
      return !axes.includes(shapes[0]!.length - 1);
    });
    expect(wrong).toEqual([]);
  });
});

/** A new one belongs here once its cost on large tensors is known. */
const KERNELS = [
  ...[
    'Add',
    'BatchMatMul',
    'Concat',
    'GatherNd',
    'Identity',
    'Multiply',
    'Pack',
    'PadV2',
    'RealDiv',
  ],
  ...[
    'Reshape',
    'Rsqrt',
    'ScatterNd',
    'Sigmoid',
    'Slice',
    'Softmax',
    'Sqrt',
    'Square',
    'Sub',
    'Sum',
  ],
  'Transpose',
];
