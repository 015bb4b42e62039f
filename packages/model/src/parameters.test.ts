import * as tf from '@tensorflow/tfjs-core';
import { modelConfigSchema } from '@nestrec/contracts';
import {
  InvalidArtifact,
  InvalidConfig,
  InvalidParameter,
  isError,
  type ErrorClass,
} from '@nestrec/errors';
import { createRandom } from '@nestrec/random';
import { disposeTensors, selectBackend } from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { packed, smallModel } from '../../../tests/helpers/small-model.js';
import { createModel } from './index.js';
import {
  embedItem,
  initParameters,
  itemVectors,
  lambdaMax,
  packArrays,
  parameterShapes,
  replayEvents,
  sliceParameters,
  unpackArrays,
} from '@nestrec/parameters';

function refused(call: () => unknown, entry: ErrorClass): string {
  try {
    call();
  } catch (error) {
    if (isError(error, entry)) return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

beforeAll(async () => {
  await selectBackend({ force: 'wasm' });
});

describe('parameters', () => {
  const config = modelConfigSchema.parse({
    ...{ sizes: [4, 8, 16], blocks: 2, featureWidth: 30, numItems: 50, rMin: 0.2, rMax: 0.6 },
  });

  it('start as model.md says: |lambda| in the ring, gamma to match, linears within their bound', () => {
    const parameters = initParameters(config, createRandom(4));
    const logs = parameters.get('model.lru_blocks.1.lru_layer.params_log')!.data;
    for (let d = 0; d < 16; d++) {
      const modulus = Math.exp(-Math.exp(logs[d]!));
      expect(modulus).toBeGreaterThanOrEqual(0.2 - 1e-6);
      expect(modulus).toBeLessThanOrEqual(0.6 + 1e-6);
      expect(Math.exp(logs[32 + d]!)).toBeCloseTo(Math.sqrt(1 - modulus ** 2), 5);
      expect(Math.exp(logs[16 + d]!)).toBeLessThanOrEqual(2 * Math.PI);
    }
    const weight = parameters.get('model.lru_blocks.0.lru_layer.in_proj.mrl_linear_1.weight')!.data;
    const real = weight.filter((_, i) => i % 2 === 0);
    expect(weight.every((value, i) => i % 2 === 0 || value === 0)).toBe(true);
    const largest = real.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    expect(largest).toBeLessThanOrEqual(1 / Math.sqrt(8));
    expect(largest).toBeGreaterThan(0.8 / Math.sqrt(8));
    expect(lambdaMax(config, parameters)).toBeLessThanOrEqual(0.6 + 1e-6);
  });

  it('start the same for a seed, and finite at the edges of the ring', () => {
    const draw = (seed: number) => initParameters(config, createRandom(seed));
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    for (const [rMin, rMax] of [
      [0, 0],
      [0, 1],
      [1, 1],
    ]) {
      const edge = initParameters({ ...config, rMin: rMin!, rMax: rMax! }, createRandom(1));
      for (const { data } of edge.values()) expect(data.every(Number.isFinite)).toBe(true);
    }
  });

  it.each([true, false])('come back from the packed form as they were (biases: %s)', (useBias) => {
    const small = smallModel({ sizes: [2, 5, 6], blocks: 2, useBias }, [1], 9);
    const packedArrays = packArrays(small.config, small.parameters);
    const back = unpackArrays(small.config, packedArrays);
    expect([...back.keys()].sort()).toEqual([...parameterShapes(small.config).keys()].sort());
    for (const [name, array] of small.parameters) expect(back.get(name)).toEqual(array);
  });

  it('are refused by name when one is missing or misshapen', () => {
    const small = smallModel({ sizes: [2, 5] }, [1], 9);
    const name = 'model.lru_blocks.0.feed_forward.gate.mrl_linear_1.weight';
    const without = new Map(small.parameters);
    without.delete(name);
    expect(refused(() => packArrays(small.config, without), InvalidArtifact)).toContain(name);
    without.set(name, { shape: [3, 4], data: new Float32Array(12) });
    expect(refused(() => packArrays(small.config, without), InvalidArtifact)).toContain('[3, 4]');
  });
});

describe('items', () => {
  it('have the same vectors in plain numbers and on the backend', () => {
    const small = smallModel({ sizes: [3, 6] }, [1], 2);
    const model = createModel(small.config, small.features);
    const variables = model.createParameters(small.parameters);
    const table = model.itemTable(variables);
    const rows = table.rows.dataSync();
    const all = itemVectors(small.config, small.parameters, small.features);
    expect(all.length).toBe(11 * 6);
    all.forEach((value, i) => expect(value).toBeCloseTo(rows[i + 6]!, 5));
    const some = itemVectors(small.config, small.parameters, small.features, 3, 5);
    expect([...some]).toEqual([...all.slice(18, 30)]);
    table.dispose();
    disposeTensors(variables);
    model.dispose();
  });

  it('without a residual of their own are P f + p, and features of another width are refused', () => {
    const small = smallModel({ sizes: [1], featureWidth: 2, numItems: 1 }, [1], 2);
    const parameters = new Map(small.parameters);
    parameters.set('embedding.projector.weight', { shape: [1, 2], data: Float32Array.of(2, 3) });
    parameters.set('embedding.projector.bias', { shape: [1], data: Float32Array.of(0.5) });
    const embed = (feature: number[], residual?: Float32Array) =>
      embedItem(small.config, parameters, Float32Array.from(feature), residual);
    expect([...embed([1, 10])]).toEqual([32.5]);
    expect([...embed([1, 10], Float32Array.of(1))]).toEqual([33.5]);
    expect(refused(() => embed([1]), InvalidParameter)).toContain('1 numbers; wanted 2');
  });

  it('may have no features at all', () => {
    const small = smallModel({ sizes: [2, 3], featureWidth: 0 }, [2], 2);
    const model = createModel(small.config, new Float32Array(0));
    const variables = model.createParameters(small.parameters);
    const { loss, gradients } = model.lossAndGradients(variables, packed(small.sequences));
    expect(Number.isFinite(loss)).toBe(true);
    expect([...gradients.keys()].sort()).toEqual([...variables.keys()].sort());
    disposeTensors(gradients);
    disposeTensors(variables);
    model.dispose();
  });
});

describe('memory of the recurrence', () => {
  it('is as long as model.md says', () => {
    const events = [0.1, 0.37, 0.9].map((r) => replayEvents({ blocks: 1 }, r));
    expect(events).toEqual([8, 17, 175]);
    expect(replayEvents({ blocks: 2 }, 0.37)).toBe(34);
    expect(replayEvents({ blocks: 2 }, 0)).toBe(2);
    expect(replayEvents({ blocks: 1 }, 1)).toBe(100_000);
  });
});

describe('a label whose history is empty', () => {
  it('is predicted from x = p and h = 0: a case computed by hand', () => {
    const config = modelConfigSchema.parse({
      ...{
        sizes: [1],
        blocks: 1,
        featureWidth: 1,
        numItems: 1,
        itemResidual: false,
        scoreScale: false,
      },
    });
    const prefix = 'model.lru_blocks.0';
    const values: Record<string, number[]> = {
      'embedding.projector.weight': [2],
      'embedding.projector.bias': [0.5],
      // One number alone is normalised to 0, so each norm gives its bias.
      [`${prefix}.input_layernorm.layernorm_0.weight`]: [1],
      [`${prefix}.input_layernorm.layernorm_0.bias`]: [3],
      [`${prefix}.post_lru_layernorm.layernorm_0.weight`]: [1],
      [`${prefix}.post_lru_layernorm.layernorm_0.bias`]: [2],
      // Were the empty history an event, the in-projection would put far more than 0 into h.
      [`${prefix}.lru_layer.params_log`]: [0, 0, 0],
      [`${prefix}.lru_layer.in_proj.mrl_linear_0.weight`]: [5, 5],
      [`${prefix}.lru_layer.in_proj.mrl_linear_0.bias`]: [7, 7],
      [`${prefix}.lru_layer.out_proj.mrl_linear_0.weight`]: [1, 1],
      [`${prefix}.lru_layer.out_proj.mrl_linear_0.bias`]: [0.25, 9],
      [`${prefix}.feed_forward.gate.mrl_linear_0.weight`]: [0.5],
      [`${prefix}.feed_forward.gate.mrl_linear_0.bias`]: [0],
      [`${prefix}.feed_forward.w_1.mrl_linear_0.weight`]: [1],
      [`${prefix}.feed_forward.w_1.mrl_linear_0.bias`]: [1],
      [`${prefix}.feed_forward.w_2.mrl_linear_0.weight`]: [0.2],
      [`${prefix}.feed_forward.w_2.mrl_linear_0.bias`]: [-1],
    };
    const stored = new Map(
      [...parameterShapes(config)].map(([name, shape]) => {
        return [name, { shape, data: Float32Array.from(values[name]!) }] as const;
      }),
    );
    const model = createModel(config, Float32Array.of(1));
    const variables = model.createParameters(stored);
    const table = model.itemTable(variables);
    const rows = packed([{ inputs: [0], targets: [1] }]);
    // a = 0.5 + 0.25; gate = 1, silu = 0.7310586; inner = silu * 3; z = a + 0.2 * inner - 1
    const z = model.lastStates(variables, table, { ...rows, lastRows: Int32Array.of(0) });
    expect(z[0]).toBeCloseTo(0.1886351472, 6);
    // Scores z * 0.5 for the padding row, z * 2.5 for the item.
    const { loss, gradients } = model.lossAndGradients(variables, rows);
    expect(loss).toBeCloseTo(0.5221990466, 6);
    expect(
      gradients
        .get(`${prefix}.lru_layer.in_proj.weight`)!
        .dataSync()
        .every((g) => g === 0),
    ).toBe(true);
    table.dispose();
    disposeTensors(gradients);
    disposeTensors(variables);
    model.dispose();
  });
});

describe('a training step', () => {
  it('is the same for the same random state, and leaves no tensor but its gradients', () => {
    const small = smallModel({ sizes: [4, 8], blocks: 2 }, [6, 3], 1);
    const before = tf.memory().numTensors;
    const model = createModel(small.config, small.features);
    const variables = model.createParameters(small.parameters);
    const settings = { dropout: [0, 0.5], residualDrop: [0.1, 0.5] };
    const step = (seed: number) => {
      const held = tf.memory().numTensors;
      const rows = packed(small.sequences);
      const result = model.lossAndGradients(variables, rows, {
        ...settings,
        random: createRandom(seed),
      });
      expect(tf.memory().numTensors).toBe(held + variables.size);
      disposeTensors(result.gradients);
      return result.loss;
    };
    expect(step(1)).toBe(step(1));
    expect(step(1)).not.toBe(step(2));
    disposeTensors(variables);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses weights and rates that do not fit the ladder, and dropout without a random stream', () => {
    const small = smallModel({ sizes: [4, 8] }, [2], 1);
    const model = createModel(small.config, small.features);
    const variables = model.createParameters(small.parameters);
    const run = (settings: object) => () =>
      model.lossAndGradients(variables, packed(small.sequences), settings);
    expect(refused(run({ lossWeights: [1] }), InvalidConfig)).toContain('loss weights');
    expect(refused(run({ lossWeights: [0, 0] }), InvalidConfig)).toContain('loss weights');
    expect(refused(run({ dropout: [0.1] }), InvalidConfig)).toContain('dropout');
    expect(run({ dropout: [0.1, 0.1] })).toThrow('random');
    disposeTensors(variables);
    model.dispose();
  });
});

describe('slicing', () => {
  it('refuses a size that is not in the ladder', () => {
    const small = smallModel({ sizes: [4, 8] }, [2], 1);
    const slice = () => sliceParameters(small.config, small.parameters, 5);
    expect(refused(slice, InvalidParameter)).toContain('4, 8');
  });

  it('gives parameters of exactly the smaller model’s shapes', () => {
    const small = smallModel({ sizes: [4, 8, 9], blocks: 2 }, [2], 1);
    const { config, parameters } = sliceParameters(small.config, small.parameters, 8);
    expect(config.sizes).toEqual([4, 8]);
    const shapes = new Map([...parameters].map(([name, { shape }]) => [name, shape]));
    expect(shapes).toEqual(parameterShapes(config));
  });
});
