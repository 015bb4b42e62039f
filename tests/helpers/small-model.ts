/** Small random models and batches, in packed, padded and plain form, for tests that compare computations. */
import {
  modelConfigSchema,
  type ModelConfig,
  type ModelConfigInput,
  type NamedArray,
  type NamedArrays,
} from '@nestrec/contracts';
import { type LabelledRows } from '@nestrec/model';
import { initParameters } from '@nestrec/parameters';
import { createRandom, type Random } from '@nestrec/random';
import { layOutRows } from '@nestrec/tensor';
import type { PaddedBatch } from './naive-model.js';

export interface Sequence {
  readonly inputs: number[];
  readonly targets: number[];
}

export interface SmallModel {
  readonly config: ModelConfig;
  readonly parameters: NamedArrays;
  /** N x F. */
  readonly features: Float32Array;
  readonly sequences: readonly Sequence[];
}

/** Initial parameters, all moved a little, so that no gain is 1 and no imaginary part 0. */
export function perturbed(config: ModelConfig, random: Random): NamedArrays {
  const parameters = new Map<string, NamedArray>();
  for (const [name, { shape, data }] of initParameters(config, random)) {
    parameters.set(name, { shape, data: data.map((value) => value + 0.1 * random.normal()) });
  }
  return parameters;
}

/**
 * A model, and sequences of `lengths` (longest first). Even ones begin with the empty history (input 0), odd
 * ones in the middle of a history.
 */
export function smallModel(
  input: Partial<ModelConfigInput> & Pick<ModelConfigInput, 'sizes'>,
  lengths: readonly number[],
  seed: number,
): SmallModel {
  const random = createRandom(seed);
  const config = modelConfigSchema.parse({ blocks: 1, featureWidth: 5, numItems: 11, ...input });
  const item = () => 1 + random.int(config.numItems);
  const sequences = lengths.map((length, s) => {
    const targets = Array.from({ length }, item);
    return { inputs: [s % 2 === 0 ? 0 : item(), ...targets.slice(0, -1)], targets };
  });
  const count = config.numItems * config.featureWidth;
  return {
    config,
    parameters: perturbed(config, random),
    features: Float32Array.from({ length: count }, () => random.normal()),
    sequences,
  };
}

/** Sequences (longest first) as packed rows. */
export function packed(sequences: readonly Sequence[]): LabelledRows {
  const layout = layOutRows(sequences.map(({ inputs }) => inputs.length));
  const inputs = new Int32Array(layout.rows);
  const targets = new Int32Array(layout.rows);
  sequences.forEach((sequence, s) => {
    sequence.inputs.forEach((item, t) => {
      inputs[layout.start[t]! + s] = item;
      targets[layout.start[t]! + s] = sequence.targets[t]!;
    });
  });
  return { ...layout, inputs, targets };
}

/** Sequences left-padded to `length`, position-major: row t * B + b. */
export function padded(sequences: readonly Sequence[], length: number): PaddedBatch {
  const users = sequences.length;
  const inputs = new Int32Array(users * length);
  const targets = new Int32Array(users * length);
  sequences.forEach((sequence, b) => {
    const first = length - sequence.inputs.length;
    sequence.inputs.forEach((item, t) => {
      inputs[(first + t) * users + b] = item;
      targets[(first + t) * users + b] = sequence.targets[t]!;
    });
  });
  return { users, length, inputs, targets };
}
