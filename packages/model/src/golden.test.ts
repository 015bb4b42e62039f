import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { InvalidInput, isError } from '@nestrec/errors';
import { selectBackend } from '@nestrec/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import {
  referenceGradients,
  referenceLoss,
  referenceStates,
  toNumbers,
} from '../../../tests/helpers/float64-model.js';
import { smallModel } from '../../../tests/helpers/small-model.js';
import { compareGolden } from './index.js';

type Json = Record<string, unknown>;

const FILES = ['fmrlrec-one-block.json', 'fmrlrec-two-blocks.json'];
/**
 * For gradients. A segment of two coordinates that are almost equal is normalised by nearly nothing: a change of
 * the parameters in float32's last bit moves the two-block file's gradients by up to 1.9e-4 (on any backend).
 */
const GRADIENT_TOLERANCE = 5e-4;
const read = (file: string): Json =>
  JSON.parse(
    readFileSync(new URL(`../../../tests/fixtures/golden/${file}`, import.meta.url), 'utf8'),
  ) as Json;

describe.each(suiteBackends)('golden vectors on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it.each(FILES)('%s: scores, losses, gradients and final parameters agree', (file) => {
    const before = tf.memory().numTensors;
    const report = compareGolden(read(file));
    const { gradients, ...others } = report.errors;
    expect(gradients, `worst: ${report.worst}`).toBeLessThanOrEqual(GRADIENT_TOLERANCE);
    for (const error of Object.values(others)) expect(error).toBeLessThanOrEqual(1e-4);
    expect(report.errors.scoresLast).toBeLessThan(1e-5);
    expect(report.errors.losses).toBeLessThan(1e-5);
    expect(report.steps).toBe(5);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('other sizes, three blocks and no biases agree with double precision', () => {
    const report = compareGolden(goldenOfReference());
    expect(report.greatest, `worst: ${report.worst}`).toBeLessThanOrEqual(1e-4);
    expect(report.errors.finalParameters).not.toBeNull();
  });
});

/** Stored arrays as nested lists. */
function nest(data: ArrayLike<number>, shape: readonly number[]): unknown {
  if (shape.length === 1) return Array.from(data);
  const size = data.length / shape[0]!;
  const numbers = Array.from(data);
  return Array.from({ length: shape[0]! }, (_, i) =>
    nest(numbers.slice(i * size, (i + 1) * size), shape.slice(1)),
  );
}

/** A golden file of one optimiser step, computed in double precision, for a model unlike the shared files'. */
function goldenOfReference(): Json {
  const plain = { useBias: false, itemResidual: false, scoreScale: false, featureWidth: 5 };
  const small = smallModel({ sizes: [3, 5], blocks: 3, numItems: 6, ...plain }, [4, 2], 21);
  const { config, parameters, features, sequences } = small;
  const length = 5;
  const pad = (ids: number[]) => [...new Array<number>(length - ids.length).fill(0), ...ids];
  const weights = [0.5, 0.5];
  const reference = { config, features, sequences, weights };
  const p = toNumbers(parameters);
  const width = 5;
  const items = Array.from({ length: 7 }, (_, i) => {
    return Array.from({ length: width }, (_, d) => {
      let sum = p.get('embedding.projector.bias')![d]!;
      for (let f = 0; f < 5 && i > 0; f++) {
        sum += p.get('embedding.projector.weight')![d * 5 + f]! * features[(i - 1) * 5 + f]!;
      }
      return sum;
    });
  });
  const score = (z: Float64Array, m: number) =>
    items.map((row) => row.slice(0, m).reduce((sum, value, d) => sum + value * z[d]!, 0));
  const states = sequences.map(({ inputs }) => referenceStates(reference, p, inputs));
  const gradients = referenceGradients(reference, p);
  const norm = Math.sqrt(
    [...gradients.values()].flatMap((g) => [...g]).reduce((s, v) => s + v * v, 0),
  );
  const scale = Math.min(1, 5 / (norm + 1e-6));
  const after = new Map(
    [...p].map(([name, values]) => {
      // AdamW's first step moves every number by lr * sign(gradient), after decay.
      const step = (g: number) => (0.01 * g) / (Math.abs(g) + 1e-9);
      return [
        name,
        values.map((v, i) => v * (1 - 0.01 * 0.1) - step(gradients.get(name)![i]! * scale)),
      ];
    }),
  );
  const nested = (arrays: ReadonlyMap<string, ArrayLike<number>>) =>
    Object.fromEntries(
      [...arrays].map(([name, data]) => [name, nest(data, parameters.get(name)!.shape)]),
    );
  return {
    ...{ name: 'reference', sizes: [3, 5], blocks: 3, numItems: 6, useBias: false },
    features: {
      language: Array.from({ length: 6 }, (_, i) => Array.from(features.slice(i * 5, i * 5 + 2))),
      image: Array.from({ length: 6 }, (_, i) => Array.from(features.slice(i * 5 + 2, i * 5 + 5))),
    },
    seqs: sequences.map(({ inputs }) => pad(inputs)),
    labels: sequences.map(({ targets }) => pad(targets)),
    params: nested(p),
    scoresLast: [3, 5].map((m) => states.map((zs) => score(zs.at(-1)!, m))),
    scoresAllLargest: states.map((zs) => [
      ...Array.from({ length: length - zs.length }, () => new Array<number>(7).fill(0)),
      ...zs.map((z) => score(z, 5)),
    ]),
    losses: [referenceLoss(reference, p)],
    grads: nested(gradients),
    gradNorm: norm,
    paramsAfter: nested(after),
    optimizer: {
      ...{ name: 'AdamW', lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-9 },
      ...{ weightDecay: 0.1, decayed: 'every parameter', clipGlobalNorm: 5 },
    },
  };
}

describe('the comparison itself', () => {
  beforeAll(async () => {
    await selectBackend({ force: 'cpu' });
  });

  it('leaves final parameters out when fewer steps are asked for', () => {
    const report = compareGolden(read(FILES[0]!), { steps: 2 });
    expect(report).toMatchObject({ steps: 2, errors: { finalParameters: null } });
    expect(report.greatest).toBeLessThan(1e-4);
  });

  it.each([
    ['scoresLast', (json: Json) => bump(json['scoresLast'])],
    ['scoresAllLargest', (json: Json) => bump((json['scoresAllLargest'] as unknown[])[0])],
    ['losses', (json: Json) => bump(json['losses'])],
    ['grads.embedding.projector.bias', (json: Json) => bump(part(json, 'grads'))],
    ['gradNorm', (json: Json) => void (json['gradNorm'] = (json['gradNorm'] as number) * 1.01)],
    ['paramsAfter.embedding.projector.bias', (json: Json) => bump(part(json, 'paramsAfter'))],
  ])('notices a wrong %s', (name, spoil) => {
    const json = read(FILES[0]!);
    spoil(json);
    const report = compareGolden(json);
    expect(report.greatest).toBeGreaterThan(1e-3);
    expect(report.worst).toBe(name);
  });
});

const part = (json: Json, key: string) => (json[key] as Json)['embedding.projector.bias'];

/** Adds 1 to the last number of the first list found in nested lists. */
function bump(lists: unknown): void {
  let level = lists as unknown[];
  while (Array.isArray(level.at(-1))) level = level.at(-1) as unknown[];
  level[level.length - 1] = (level.at(-1) as number) + 1;
}

function refusal(json: unknown): string {
  try {
    compareGolden(json);
  } catch (error) {
    if (isError(error, InvalidInput)) return error.message;
    throw error;
  }
  throw new Error('the file was accepted');
}

describe('a golden file that is incomplete or hostile', () => {
  const keys = Object.keys(read(FILES[0]!)).filter((key) => key !== 'name');

  it.each(keys)('is refused with the name of the missing key %s', (key) => {
    const json = read(FILES[0]!);
    delete json[key];
    expect(refusal(json)).toContain(`key ${key} is missing`);
  });

  it.each([
    ['params', 'model.lru_blocks.0.lru_layer.params_log'],
    ['grads', 'embedding.projector.weight'],
    ['paramsAfter', 'model.lru_blocks.0.feed_forward.w_2.mrl_linear_1.bias'],
    ['optimizer', 'clipGlobalNorm'],
    ['features', 'image'],
  ])('is refused when %s lacks %s', (key, name) => {
    const json = read(FILES[0]!);
    delete (json[key] as Json)[name];
    expect(refusal(json)).toContain(`key ${key}.${name} is missing`);
  });

  it.each<[string, (json: Json) => void, string]>([
    [
      'a parameter of another shape',
      (j) => void ((j['params'] as Json)['embedding.projector.bias'] = [1]),
      'shape [1]',
    ],
    ['a ragged array', (j) => void (j['seqs'] as number[][])[1]!.pop(), 'seqs'],
    ['text among numbers', (j) => void ((j['losses'] as unknown[])[2] = 'x'), 'losses'],
    ['null among numbers', (j) => void ((j['losses'] as unknown[])[0] = null), 'losses'],
    [
      'an item that does not exist',
      (j) => void ((j['seqs'] as number[][])[0]![0] = 31),
      'seqs is 31',
    ],
    ['a fraction as item', (j) => void ((j['labels'] as number[][])[0]![0] = 1.5), 'labels is 1.5'],
    ['sizes that fall', (j) => void (j['sizes'] = [8, 4, 16]), 'sizes'],
    [
      'a parameter that no such model has',
      (j) => void ((j['params'] as Json)['extra'] = [1]),
      'params.extra',
    ],
    ['another optimiser', (j) => void ((j['optimizer'] as Json)['name'] = 'SGD'), 'optimizer.name'],
    ['items beyond measure', (j) => void (j['numItems'] = 1e9), 'features.language'],
    ['no items', (j) => void (j['numItems'] = 0), 'numItems'],
  ])('is refused for %s, by name', (_, spoil, named) => {
    const json = read(FILES[0]!);
    spoil(json);
    expect(refusal(json)).toContain(named);
  });

  it.each([[null], [3], ['text'], [[]], [{}]])('is refused when it is %j', (json) => {
    expect(refusal(json)).toContain('golden file');
  });
});
