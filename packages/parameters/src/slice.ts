/**
 * Cuts a model to one of its nested sizes, and to its first blocks: a slice of the weights is the smaller model, and
 * gives the first m coordinates of every activation of the large one.
 */
import type { ModelConfig, NamedArray, NamedArrays } from '@nestrec/contracts';
import { InvalidParameter } from '@nestrec/errors';
import { packArrays, unpackArrays } from './packing.js';
import { parameterShapes, product } from './parameters.js';

export interface SlicedModel {
  readonly config: ModelConfig;
  readonly parameters: NamedArrays;
}

/**
 * @param parameters by golden name.
 * @param size one of `config.sizes`.
 * @param blocks the first so many; a model answers well there only where it has that exit (`ModelConfig.exits`).
 * @throws InvalidParameter when the ladder has no such size, or the model not so many blocks.
 */
export function sliceParameters(
  config: ModelConfig,
  parameters: NamedArrays,
  size: number,
  blocks = config.blocks,
): SlicedModel {
  const kept = config.sizes.indexOf(size) + 1;
  if (kept === 0) {
    throw new InvalidParameter({
      detail: `size ${size} is not in the ladder; wanted one of ${config.sizes.join(', ')}.`,
    });
  }
  if (!Number.isInteger(blocks) || blocks < 1 || blocks > config.blocks) {
    throw new InvalidParameter({
      detail: `got ${blocks} blocks; the model has ${config.blocks}, wanted 1 to that.`,
    });
  }
  const sliced = slicedConfig(config, config.sizes.slice(0, kept), blocks);
  // A pass through the packed form checks every name and shape before anything is cut.
  const checked = unpackArrays(config, packArrays(config, parameters));
  const result = new Map<string, NamedArray>();
  for (const [name, shape] of parameterShapes({ ...sliced, useBias: true })) {
    const source = checked.get(name);
    if (source !== undefined) result.set(name, cut(source, shape));
  }
  return { config: sliced, parameters: result };
}

/** The exits that are left are those before the new last block, each up to the new largest size. */
function slicedConfig({ exits = [], ...config }: ModelConfig, sizes: number[], blocks: number) {
  const left = exits
    .filter((exit) => exit.blocks < blocks)
    .map((exit) => ({ ...exit, dim: Math.min(exit.dim, sizes.at(-1)!) }));
  const sliced: ModelConfig = { ...config, sizes, blocks };
  return left.length === 0 ? sliced : { ...sliced, exits: left };
}

/** The corner of `source` that has `shape`: fewer rows, columns or both. */
function cut(source: NamedArray, shape: readonly number[]): NamedArray {
  const data = new Float32Array(product(shape));
  if (shape.length !== 2) {
    data.set(source.data.subarray(0, data.length));
    return { shape, data };
  }
  const [rows, columns] = shape as [number, number];
  const stride = source.shape[1]!;
  for (let row = 0; row < rows; row++) {
    data.set(source.data.subarray(row * stride, row * stride + columns), row * columns);
  }
  return { shape, data };
}
