/**
 * Between parameters by golden name (one small array per segment) and the packed tensors that are trained:
 * one dense, structurally zero-filled matrix per nested linear, so that a step runs few, large kernels.
 *
 * A packed complex in-projection is [Re; Im], [2D, D]; a packed out-projection is [Re | Im], [D, 2D], of which
 * the bias' imaginary part never reaches a result. Packing loses nothing: unpacking gives the same numbers back.
 */
import type { ModelConfig, NamedArray, NamedArrays } from '@nestrec/contracts';
import { NESTED_LINEARS, parameterShapes, product, requireParameter } from './parameters.js';
import { segmentsOf } from './segments.js';

/** How many parts (real, imaginary) a nested linear puts out and takes in, each with all of `sizes`. */
export interface PackedShape {
  readonly sizes: readonly number[];
  readonly outParts: 1 | 2;
  readonly inParts: 1 | 2;
}

export function nestedShape(sizes: readonly number[], linear: string): PackedShape {
  return {
    sizes,
    outParts: linear === 'lru_layer.in_proj' ? 2 : 1,
    inParts: linear === 'lru_layer.out_proj' ? 2 : 1,
  };
}

/** Where one stored array goes in its packed one: position of each of its numbers. */
interface Placement {
  readonly packedName: string;
  readonly packedShape: readonly number[];
  /** Index in the packed array of the stored array's number i. */
  readonly at: (i: number) => number;
}

function placementOf(name: string, shape: readonly number[], sizes: readonly number[]): Placement {
  const nested =
    /^(model\.lru_blocks\.\d+)\.(.+)\.(mrl_linear|layernorm)_(\d+)\.(weight|bias)$/.exec(name);
  if (nested === null) return { packedName: name, packedShape: shape, at: (i) => i };
  const [, prefix, layer, kind, index, part] = nested as unknown as string[];
  const packedName = `${prefix}.${layer}.${part}`;
  const width = sizes.at(-1)!;
  const { begin } = segmentsOf(sizes)[Number(index)]!;
  if (kind === 'layernorm') return { packedName, packedShape: [width], at: (i) => begin + i };
  const { outParts, inParts } = nestedShape(sizes, layer!);
  const complex = Math.max(outParts, inParts);
  if (part === 'bias') {
    return {
      packedName,
      packedShape: [complex * width],
      at: (i) => (i % complex) * width + begin + Math.floor(i / complex),
    };
  }
  const inputs = shape[1]!;
  const columns = inParts * width;
  return {
    packedName,
    packedShape: [outParts * width, columns],
    at: (i) => {
      const number = i % complex;
      const row = begin + Math.floor(i / (complex * inputs));
      const column = Math.floor(i / complex) % inputs;
      return outParts === 2
        ? (number * width + row) * columns + column
        : row * columns + number * width + column;
    },
  };
}

/**
 * Shapes of the parameters that `stored` has, checked: all that the config asks for, except that biases of
 * nested linears may be there or not when the config says `useBias: false`.
 */
function storedShapes(config: ModelConfig, stored: ReadonlyMap<string, unknown>) {
  const shapes = parameterShapes({ ...config, useBias: true });
  if (config.useBias) return shapes;
  for (const name of shapes.keys()) {
    if (name.includes('mrl_linear') && name.endsWith('.bias') && !stored.has(name)) {
      shapes.delete(name);
    }
  }
  return shapes;
}

/** Packed arrays from stored ones. @throws InvalidArtifact naming what is missing or misshapen. */
export function packArrays(config: ModelConfig, stored: NamedArrays): NamedArrays {
  const packed = new Map<string, NamedArray>();
  for (const [name, shape] of storedShapes(config, stored)) {
    const { data } = requireParameter(stored, name, shape);
    const { packedName, packedShape, at } = placementOf(name, shape, config.sizes);
    let target = packed.get(packedName);
    if (target === undefined) {
      target = { shape: packedShape, data: new Float32Array(product(packedShape)) };
      packed.set(packedName, target);
    }
    for (let i = 0; i < data.length; i++) target.data[at(i)] = data[i]!;
  }
  return packed;
}

/** Stored arrays (golden names) from packed ones; the inverse of `packArrays`. */
export function unpackArrays(config: ModelConfig, packed: NamedArrays): NamedArrays {
  const stored = new Map<string, NamedArray>();
  for (const [name, shape] of parameterShapes({ ...config, useBias: true })) {
    const { packedName, packedShape, at } = placementOf(name, shape, config.sizes);
    if (!packed.has(packedName) && isNestedBias(packedName)) continue;
    const source = requireParameter(packed, packedName, packedShape);
    const data = new Float32Array(product(shape));
    for (let i = 0; i < data.length; i++) data[i] = source.data[at(i)]!;
    stored.set(name, { shape, data });
  }
  return stored;
}

function isNestedBias(packedName: string): boolean {
  return (
    packedName.endsWith('.bias') &&
    NESTED_LINEARS.some(({ name }) => packedName.endsWith(`.${name}.bias`))
  );
}
