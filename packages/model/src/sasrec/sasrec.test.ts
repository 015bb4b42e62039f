import { createRandom } from '@nestrec/random';
import { disposeTensors, layOutRows, selectBackend, toNamedArrays } from '@nestrec/tensor';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { layOutTiles } from './causal-attention.js';
import { createSasrec, initSasrec, type Sasrec, type SasrecConfig } from './sasrec.js';

const CONFIG: SasrecConfig = { width: 6, blocks: 2, heads: 2, maxLength: 8, numItems: 9 };
/** Longest first. */
const SEQUENCES = [[0, 3, 1, 4, 1, 5, 9, 2], [0, 6, 5, 3, 5], [7, 9], [0, 8], [2]];

/** Packed rows that predict each sequence's next item, and the row of (sequence, step). */
function pack(sequences: readonly (readonly number[])[]) {
  const layout = layOutRows(sequences.map(({ length }) => length));
  const inputs = new Int32Array(layout.rows);
  const targets = new Int32Array(layout.rows);
  const rowOf = (s: number, t: number) => layout.start[t]! + s;
  sequences.forEach((items, s) =>
    items.forEach((item, t) => {
      inputs[rowOf(s, t)] = item;
      targets[rowOf(s, t)] = 1 + ((s + t) % CONFIG.numItems);
    }),
  );
  const lastRows = Int32Array.from(sequences, ({ length }, s) => rowOf(s, length - 1));
  return { ...layout, inputs, targets, lastRows, rowOf };
}

const noDropout = () => ({ dropout: 0, random: createRandom(1) });

describe.each(['cpu', 'wasm', 'native'] as const)('SASRec on %s', (backend) => {
  let network: Sasrec;
  let tensorsBefore: number;
  beforeAll(async () => {
    await selectBackend({ force: backend });
    tensorsBefore = tf.memory().numTensors;
  });
  afterEach(() => {
    network.dispose();
    expect(tf.memory().numTensors).toBe(tensorsBefore);
  });

  /** Parameters of which none is at a special value. */
  function start(config = CONFIG) {
    network = createSasrec(config);
    const random = createRandom(5);
    const stored = initSasrec(config, random);
    for (const { data } of stored.values())
      data.forEach((_, i) => (data[i]! += 0.3 * random.normal()));
    return network.createParameters(stored);
  }

  it('lets nothing that comes later change an earlier state, nor another sequence', () => {
    const parameters = start();
    const whole = pack(SEQUENCES);
    const states = network.states(parameters, whole);
    const numbers = states.dataSync();
    states.dispose();
    const stateAt = (s: number, t: number) => [
      ...numbers.subarray(whole.rowOf(s, t) * 6, whole.rowOf(s, t) * 6 + 6),
    ];
    SEQUENCES.forEach((items, s) =>
      items.forEach((_, t) => {
        const alone = network.lastStates(parameters, pack([items.slice(0, t + 1)]));
        [...alone].forEach((value, d) => expect(value).toBeCloseTo(stateAt(s, t)[d]!, 4));
      }),
    );
    // And what came before does change it.
    const other = network.lastStates(parameters, pack([[0, 3, 2, 4]]));
    expect(Math.max(...[...other].map((v, d) => Math.abs(v - stateAt(0, 3)[d]!)))).toBeGreaterThan(
      0.01,
    );
    disposeTensors(parameters);
  });

  it('has the gradient of its loss, for every parameter', () => {
    const parameters = start();
    const batch = pack(SEQUENCES);
    const { gradients } = network.lossAndGradients(parameters, batch, noDropout());
    expect([...gradients.keys()]).toEqual([...parameters.keys()]);
    const stored = toNamedArrays(parameters);
    const found = toNamedArrays(gradients);
    disposeTensors(parameters);
    disposeTensors(gradients);
    const lossAt = (name: string, direction: Float32Array, step: number) => {
      const moved = new Map(stored);
      const { shape, data } = stored.get(name)!;
      moved.set(name, { shape, data: data.map((value, i) => value + step * direction[i]!) });
      const variables = network.createParameters(moved);
      const result = network.lossAndGradients(variables, batch, noDropout());
      disposeTensors(variables);
      disposeTensors(result.gradients);
      return result.loss;
    };
    for (const [name, { data }] of found) {
      const length = Math.hypot(...data);
      expect(length, name).toBeGreaterThan(1e-4);
      // Along its own gradient a function grows by the gradient's length.
      const direction = data.map((value) => value / length);
      const step = 0.01;
      const slope = (lossAt(name, direction, step) - lossAt(name, direction, -step)) / (2 * step);
      expect(Math.abs(slope / length - 1), name).toBeLessThan(0.02);
    }
  });

  it('begins at the loss of a guess, ln(N + 1), and falls when it steps down its gradient', () => {
    const config = { ...CONFIG, width: 16, numItems: 500 };
    network = createSasrec(config);
    const parameters = network.createParameters(initSasrec(config, createRandom(2)));
    const batch = pack(SEQUENCES);
    const first = network.lossAndGradients(parameters, batch, noDropout());
    expect(Math.abs(first.loss - Math.log(501))).toBeLessThan(0.1);
    for (const [name, gradient] of first.gradients) {
      const variable = parameters.get(name)!;
      tf.tidy(() => variable.assign(tf.sub(variable, tf.mul(gradient, 0.1))));
    }
    const second = network.lossAndGradients(parameters, batch, noDropout());
    expect(second.loss).toBeLessThan(first.loss);
    for (const { gradients } of [first, second]) disposeTensors(gradients);
    disposeTensors(parameters);
  });

  it('drops by its stream alone: the same seed gives the same loss, another one another', () => {
    const parameters = start();
    const loss = (seed: number) => {
      const settings = { dropout: 0.5, random: createRandom(seed) };
      const result = network.lossAndGradients(parameters, pack(SEQUENCES), settings);
      disposeTensors(result.gradients);
      return result.loss;
    };
    expect(loss(1)).toBe(loss(1));
    expect(loss(1)).not.toBe(loss(2));
    disposeTensors(parameters);
  });
});

describe('initSasrec', () => {
  it('refuses sizes that are none, and heads that cannot share the width', () => {
    const make = (change: Partial<SasrecConfig>) => () =>
      initSasrec({ ...CONFIG, ...change }, createRandom(1));
    expect(make({ heads: 4 })).toThrow(/4 heads cannot share out a width of 6/);
    expect(make({ blocks: 0 })).toThrow(/blocks is 0; wanted a whole number/);
  });
});

describe('layOutTiles', () => {
  it('gives every row a place of its own, with its sequence beside it and nothing else in sight', () => {
    const lengths = [50, 26, 25, 20, 9, 8, 8, 3, 2, 1, 1];
    const rows = layOutRows(lengths);
    const { tiles, height, places, mask } = layOutTiles(rows);
    expect(new Set(places).size).toBe(rows.rows);
    // 50; 26 + 25; 20 + 9 + 8 + 8 + 3 + 2 + 1 + 1.
    expect([tiles, height]).toEqual([3, 64]);
    expect(mask).toHaveLength(tiles * height * height);
    let seen = 0;
    lengths.forEach((length, s) => {
      const own = Array.from({ length }, (_, t) => places[rows.start[t]! + s]!);
      own.forEach((row, t) => {
        expect(Math.floor(row / height)).toBe(Math.floor(own[0]! / height));
        const columns = mask.subarray(row * height, (row + 1) * height);
        const visible = [...columns.keys()].filter((column) => columns[column] === 0);
        expect(visible).toEqual(own.slice(0, t + 1).map((place) => place % height));
        seen += visible.length;
      });
    });
    expect(mask.filter((value) => value === 0)).toHaveLength(seen);
  });

  it('is as high as its longest sequence, and no higher than it has rows', () => {
    expect(layOutTiles(layOutRows([70, 3]))).toMatchObject({ tiles: 2, height: 70 });
    expect(layOutTiles(layOutRows([2, 2]))).toMatchObject({ tiles: 1, height: 4 });
  });
});
