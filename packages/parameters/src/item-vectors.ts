/**
 * Item vectors in plain numbers, E_i = P f_i + p + R_i: what publishing and serving use, without TensorFlow.
 */
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import { InvalidParameter } from '@nestrec/errors';
import { ITEM_RESIDUAL, PROJECTOR_BIAS, PROJECTOR_WEIGHT, requireParameter } from './parameters.js';

/**
 * Vectors of rows `from` .. `to` (row r is item id r + 1), (to - from) x D.
 *
 * @param features N x F of all items.
 */
export function itemVectors(
  config: ModelConfig,
  parameters: NamedArrays,
  features: Float32Array,
  from = 0,
  to = config.numItems,
): Float32Array {
  const width = config.sizes.at(-1)!;
  const out = new Float32Array((to - from) * width);
  const residual = residualOf(config, parameters);
  for (let row = from; row < to; row++) {
    const feature = features.subarray(row * config.featureWidth, (row + 1) * config.featureWidth);
    const own = residual?.subarray(row * width, (row + 1) * width);
    out.set(embedItem(config, parameters, feature, own), (row - from) * width);
  }
  return out;
}

function residualOf(config: ModelConfig, parameters: NamedArrays): Float32Array | undefined {
  if (!config.itemResidual) return undefined;
  const shape = [config.numItems, config.sizes.at(-1)!];
  return requireParameter(parameters, ITEM_RESIDUAL, shape).data;
}

/**
 * The vector of one item, D numbers or the first `width` of them: P f + p, plus `residual` (D numbers) where the
 * item has one. An item that was never trained on has none.
 */
export function embedItem(
  config: ModelConfig,
  parameters: NamedArrays,
  feature: Float32Array,
  residual?: Float32Array,
  width = config.sizes.at(-1)!,
): Float32Array {
  const whole = config.sizes.at(-1)!;
  const inputs = config.featureWidth;
  if (feature.length !== inputs) {
    throw new InvalidParameter({
      detail: `an item's features have ${feature.length} numbers; wanted ${inputs}.`,
    });
  }
  const bias = requireParameter(parameters, PROJECTOR_BIAS, [whole]).data;
  const vector = bias.slice(0, width);
  if (inputs > 0) {
    const weight = requireParameter(parameters, PROJECTOR_WEIGHT, [whole, inputs]).data;
    for (let d = 0; d < width; d++) {
      let sum = 0;
      for (let f = 0; f < inputs; f++) sum += weight[d * inputs + f]! * feature[f]!;
      vector[d]! += sum;
    }
  }
  if (residual !== undefined) for (let d = 0; d < width; d++) vector[d]! += residual[d]!;
  return vector;
}
