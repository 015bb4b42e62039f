/**
 * Names and shapes of a model's parameters, as they stand in artifacts and golden files, and their start.
 *
 * Nested linears are stored by segment: `..._i.weight` is [m_i - m_(i-1), m_i]; complex ones end in an axis
 * of 2, (real, imaginary). `params_log` is 3 x D: nu_log, theta_log, gamma_log.
 */
import type { ModelConfig, NamedArray, NamedArrays } from '@nestrec/contracts';
import { InvalidArtifact } from '@nestrec/errors';
import type { Random } from '@nestrec/random';
import { segmentsOf } from './segments.js';

export const PROJECTOR_WEIGHT = 'embedding.projector.weight';
export const PROJECTOR_BIAS = 'embedding.projector.bias';
export const ITEM_RESIDUAL = 'embedding.item_residual';
export const LOG_SCORE_SCALE = 'head.log_score_scale';

/** What item vectors are made of, the padding row's too; every other parameter belongs to the query side. */
export const ITEM_PARAMETERS: readonly string[] = [PROJECTOR_WEIGHT, PROJECTOR_BIAS, ITEM_RESIDUAL];

/** Standard deviation of the item residual at the start, before division by sqrt(D). */
const RESIDUAL_START = 0.1;
/** Keeps u1 away from 0, where nu would be infinite. */
const SMALLEST_UNIFORM = 1e-6;
const SMALLEST_MODULUS_SQUARED = 1e-12;

/** The nested linears of a block, with how many numbers each weight holds: 2 = complex. */
export const NESTED_LINEARS = [
  { name: 'lru_layer.in_proj', parts: 2 },
  { name: 'lru_layer.out_proj', parts: 2 },
  { name: 'feed_forward.gate', parts: 1 },
  { name: 'feed_forward.w_1', parts: 1 },
  { name: 'feed_forward.w_2', parts: 1 },
] as const;
export const NORMS = ['input_layernorm', 'post_lru_layernorm'] as const;
export const PARAMS_LOG = 'lru_layer.params_log';

export const blockPrefix = (block: number) => `model.lru_blocks.${block}`;

/** Shape of every parameter, in a fixed order. Without `useBias` the nested linears have none; p stays. */
export function parameterShapes(config: ModelConfig): Map<string, number[]> {
  const segments = segmentsOf(config.sizes);
  const width = config.sizes.at(-1)!;
  const shapes = new Map<string, number[]>();
  if (config.featureWidth > 0) shapes.set(PROJECTOR_WEIGHT, [width, config.featureWidth]);
  shapes.set(PROJECTOR_BIAS, [width]);
  for (let block = 0; block < config.blocks; block++) {
    const prefix = blockPrefix(block);
    for (const norm of NORMS) {
      segments.forEach((segment, i) => {
        shapes.set(`${prefix}.${norm}.layernorm_${i}.weight`, [segment.width]);
        shapes.set(`${prefix}.${norm}.layernorm_${i}.bias`, [segment.width]);
      });
    }
    shapes.set(`${prefix}.${PARAMS_LOG}`, [3, width]);
    for (const { name, parts } of NESTED_LINEARS) {
      const last = parts === 2 ? [2] : [];
      segments.forEach((segment, i) => {
        const linear = `${prefix}.${name}.mrl_linear_${i}`;
        shapes.set(`${linear}.weight`, [segment.width, segment.end, ...last]);
        if (config.useBias) shapes.set(`${linear}.bias`, [segment.width, ...last]);
      });
    }
  }
  if (config.itemResidual) shapes.set(ITEM_RESIDUAL, [config.numItems, width]);
  if (config.scoreScale) shapes.set(LOG_SCORE_SCALE, [config.sizes.length]);
  return shapes;
}

/** The parameter of that name and shape. @throws InvalidArtifact naming what is missing or misshapen. */
export function requireParameter(
  parameters: NamedArrays,
  name: string,
  shape: readonly number[],
): NamedArray {
  const found = parameters.get(name);
  if (found === undefined) throw new InvalidArtifact({ detail: `parameter ${name} is missing.` });
  if (found.shape.join() !== shape.join() || found.data.length !== product(shape)) {
    throw new InvalidArtifact({
      detail: `parameter ${name} has shape [${found.shape.join(', ')}]; wanted [${shape.join(', ')}].`,
    });
  }
  return found;
}

export const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Parameters to start training from (model.md, section 1). */
export function initParameters(config: ModelConfig, random: Random): NamedArrays {
  const parameters = new Map<string, NamedArray>();
  for (const [name, shape] of parameterShapes(config)) {
    const data = new Float32Array(product(shape));
    fill(name, data, shape, config, random.fork(name));
    parameters.set(name, { shape, data });
  }
  return parameters;
}

function fill(
  name: string,
  data: Float32Array,
  shape: readonly number[],
  config: ModelConfig,
  random: Random,
): void {
  if (name === ITEM_RESIDUAL) {
    const deviation = RESIDUAL_START / Math.sqrt(shape[1]!);
    for (let i = 0; i < data.length; i++) data[i] = deviation * random.normal();
  } else if (name.endsWith(PARAMS_LOG)) fillRecurrence(data, config, random);
  else if (name.includes('layernorm')) data.fill(name.endsWith('.weight') ? 1 : 0);
  else if (name !== LOG_SCORE_SCALE) fillLinear(name, data, shape, config, random);
}

/** Uniform in +-1/sqrt(fan_in), biases too; imaginary parts start at 0. */
function fillLinear(
  name: string,
  data: Float32Array,
  shape: readonly number[],
  config: ModelConfig,
  random: Random,
) {
  const segment = /mrl_linear_(\d+)/.exec(name);
  const fanIn = segment === null ? config.featureWidth : config.sizes[Number(segment[1])]!;
  const bound = 1 / Math.sqrt(Math.max(1, fanIn));
  const complex = segment !== null && shape.length === (name.endsWith('.bias') ? 2 : 3);
  for (let i = 0; i < data.length; i += complex ? 2 : 1)
    data[i] = bound * (2 * random.uniform() - 1);
}

/** |lambda| uniform by area in the ring r_min..r_max, its angle log-uniform as in model.md. */
function fillRecurrence(data: Float32Array, { sizes, rMin, rMax }: ModelConfig, random: Random) {
  const width = sizes.at(-1)!;
  for (let d = 0; d < width; d++) {
    const u1 = Math.max(SMALLEST_UNIFORM, random.uniform());
    const u2 = Math.max(SMALLEST_UNIFORM, random.uniform());
    const area = u1 * (rMax ** 2 - rMin ** 2) + rMin ** 2;
    const modulusSquared = Math.max(SMALLEST_MODULUS_SQUARED, area);
    const nu = Math.max(SMALLEST_UNIFORM, -0.5 * Math.log(modulusSquared));
    data[d] = Math.log(nu);
    data[width + d] = Math.log(2 * Math.PI * u2);
    data[2 * width + d] = 0.5 * Math.log(-Math.expm1(-2 * nu));
  }
}
