/**
 * Reads an oracle file (format: docs of the golden vectors) into typed arrays. Trusts nothing: whatever is
 * missing, misshapen or not a number is named by its key.
 */
import {
  modelConfigSchema,
  type ModelConfig,
  type NamedArray,
  type NamedArrays,
} from '@nestrec/contracts';
import { excerpt, InvalidInput } from '@nestrec/errors';
import { parameterShapes } from '@nestrec/parameters';

export interface GoldenFile {
  readonly name: string;
  readonly config: ModelConfig;
  /** N x F. */
  readonly features: Float32Array;
  /** B x L item ids, left-padded with 0. */
  readonly sequences: NamedArray;
  readonly labels: NamedArray;
  readonly parameters: NamedArrays;
  /** M x B x (N + 1). */
  readonly scoresLast: NamedArray;
  /** B x L x (N + 1). */
  readonly scoresAllLargest: NamedArray;
  readonly losses: readonly number[];
  readonly gradients: NamedArrays;
  readonly gradientNorm: number;
  readonly parametersAfter: NamedArrays;
  readonly optimizer: GoldenOptimizer;
}

export interface GoldenOptimizer {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  readonly clipGlobalNorm: number;
}

type Json = Readonly<Record<string, unknown>>;

const MOST_NUMBERS = 50_000_000;

function refuse(key: string, got: unknown, want: string): never {
  const shown = got === undefined ? 'nothing' : excerpt(got);
  throw new InvalidInput({
    detail: `golden file: key ${excerpt(key)} is ${shown}; wanted ${want}.`,
  });
}

function objectAt(parent: Json, key: string, path = key): Json {
  const value = Object.hasOwn(parent, key) ? parent[key] : undefined;
  if (value === undefined)
    throw new InvalidInput({ detail: `golden file: key ${path} is missing.` });
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(path, value, 'an object');
  }
  return value as Json;
}

function valueAt(parent: Json, key: string, path = key): unknown {
  if (!Object.hasOwn(parent, key)) {
    throw new InvalidInput({ detail: `golden file: key ${path} is missing.` });
  }
  return parent[key];
}

function numberAt(parent: Json, key: string, path = key): number {
  const value = valueAt(parent, key, path);
  if (typeof value !== 'number' || !Number.isFinite(value)) refuse(path, value, 'a finite number');
  return value;
}

/** A nested array of finite numbers. `shape` may leave an axis open with -1. */
function arrayAt(parent: Json, key: string, shape: readonly number[], path = key): NamedArray {
  const value = valueAt(parent, key, path);
  const found: number[] = [];
  for (let level = value; Array.isArray(level); level = level[0] as unknown) {
    found.push(level.length);
    if (found.length > shape.length) break;
  }
  const wanted = `numbers of shape [${shape.map((n) => (n < 0 ? 'any' : n)).join(', ')}]`;
  const fits = found.length === shape.length && shape.every((n, i) => n < 0 || n === found[i]);
  if (!fits) refuse(path, Array.isArray(value) ? `shape [${found.join(', ')}]` : value, wanted);
  const numbers: number[] = [];
  const walk = (level: unknown, depth: number): void => {
    if (depth === found.length) {
      if (typeof level !== 'number' || !Number.isFinite(level)) refuse(path, level, wanted);
      numbers.push(level);
    } else {
      if (!Array.isArray(level) || level.length !== found[depth]) refuse(path, level, wanted);
      if (numbers.length > MOST_NUMBERS) refuse(path, 'too many numbers', wanted);
      for (const part of level) walk(part, depth + 1);
    }
  };
  walk(value, 0);
  return { shape: found, data: Float32Array.from(numbers) };
}

/** Arrays of all parameters of `config`; nested biases may be absent where `useBias` is false. */
function parametersAt(root: Json, key: string, config: ModelConfig): NamedArrays {
  const parent = objectAt(root, key);
  const arrays = new Map<string, NamedArray>();
  for (const [name, shape] of parameterShapes({ ...config, useBias: true })) {
    const optional = !config.useBias && name.includes('mrl_linear') && name.endsWith('.bias');
    if (optional && !Object.hasOwn(parent, name)) continue;
    arrays.set(name, arrayAt(parent, name, shape, `${key}.${name}`));
  }
  for (const name of Object.keys(parent)) {
    if (!arrays.has(name)) refuse(`${key}.${name}`, 'there', 'no such parameter in this model');
  }
  return arrays;
}

function featuresAt(root: Json, numItems: number): { width: number; data: Float32Array } {
  const features = objectAt(root, 'features');
  const blocks = ['language', 'image'].map((key) =>
    arrayAt(features, key, [numItems, -1], `features.${key}`),
  );
  const width = blocks.reduce((sum, block) => sum + block.shape[1]!, 0);
  const data = new Float32Array(numItems * width);
  let column = 0;
  for (const { shape, data: block } of blocks) {
    const blockWidth = shape[1]!;
    for (let row = 0; row < numItems; row++) {
      data.set(block.subarray(row * blockWidth, (row + 1) * blockWidth), row * width + column);
    }
    column += blockWidth;
  }
  return { width, data };
}

function configOf(root: Json, featureWidth: number, numItems: number): ModelConfig {
  const parsed = modelConfigSchema.safeParse({
    sizes: valueAt(root, 'sizes'),
    blocks: numberAt(root, 'blocks'),
    featureWidth,
    numItems,
    useBias: valueAt(root, 'useBias'),
    itemResidual: false,
    scoreScale: false,
  });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const key = String(issue.path[0] ?? 'sizes');
  return refuse(key, root[key], issue.message);
}

function idsAt(root: Json, key: string, shape: readonly number[], numItems: number): NamedArray {
  const ids = arrayAt(root, key, shape);
  for (const id of ids.data) {
    if (!Number.isInteger(id) || id < 0 || id > numItems) {
      refuse(key, id, `item ids from 0 to ${numItems}`);
    }
  }
  return ids;
}

function optimizerAt(root: Json): GoldenOptimizer {
  const optimizer = objectAt(root, 'optimizer');
  const name = valueAt(optimizer, 'name', 'optimizer.name');
  if (name !== 'AdamW') refuse('optimizer.name', name, 'AdamW');
  const number = (key: string) => numberAt(optimizer, key, `optimizer.${key}`);
  return {
    lr: number('lr'),
    beta1: number('beta1'),
    beta2: number('beta2'),
    eps: number('eps'),
    weightDecay: number('weightDecay'),
    clipGlobalNorm: number('clipGlobalNorm'),
  };
}

/** @throws InvalidInput naming the key that is missing or wrong. */
export function parseGolden(json: unknown): GoldenFile {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new InvalidInput({ detail: `golden file: got ${excerpt(json)}; wanted a JSON object.` });
  }
  const root = json as Json;
  const numItems = numberAt(root, 'numItems');
  if (!Number.isInteger(numItems) || numItems < 1)
    refuse('numItems', numItems, 'a whole number from 1');
  const features = featuresAt(root, numItems);
  const config = configOf(root, features.width, numItems);
  const sequences = idsAt(root, 'seqs', [-1, -1], numItems);
  const [batch, length] = sequences.shape as [number, number];
  const name = root['name'];
  return {
    name: typeof name === 'string' ? excerpt(name) : 'unnamed',
    config,
    features: features.data,
    sequences,
    labels: idsAt(root, 'labels', [batch, length], numItems),
    parameters: parametersAt(root, 'params', config),
    scoresLast: arrayAt(root, 'scoresLast', [config.sizes.length, batch, numItems + 1]),
    scoresAllLargest: arrayAt(root, 'scoresAllLargest', [batch, length, numItems + 1]),
    losses: [...arrayAt(root, 'losses', [-1]).data],
    gradients: parametersAt(root, 'grads', config),
    gradientNorm: numberAt(root, 'gradNorm'),
    parametersAfter: parametersAt(root, 'paramsAfter', config),
    optimizer: optimizerAt(root),
  };
}
