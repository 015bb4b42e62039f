/** How far back a model's recurrent state remembers. */
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import { blockPrefix, PARAMS_LOG, requireParameter } from './parameters.js';

/** What is left of an event when it counts as forgotten, relative to a newest one. */
const FORGOTTEN = 1e-7;
/** Answers for models that practically never forget. */
const MOST_EVENTS = 100_000;

/** Largest |lambda| over all blocks and coordinates, in [0, 1]. */
export function lambdaMax(config: ModelConfig, parameters: NamedArrays): number {
  const width = config.sizes.at(-1)!;
  let largest = 0;
  for (let block = 0; block < config.blocks; block++) {
    const name = `${blockPrefix(block)}.${PARAMS_LOG}`;
    const { data } = requireParameter(parameters, name, [3, width]);
    for (let d = 0; d < width; d++) {
      largest = Math.max(largest, Math.exp(-Math.exp(data[d]!)));
    }
  }
  return largest;
}

/**
 * How many newest events rebuild a state: K ceil(ln(1e-7 (1 - r)) / ln r) for r = `largest`, at least one per
 * block, at most 100,000.
 */
export function replayEvents(config: Pick<ModelConfig, 'blocks'>, largest: number): number {
  if (largest >= 1) return MOST_EVENTS;
  if (largest <= 0) return config.blocks;
  const events = Math.ceil(Math.log(FORGOTTEN * (1 - largest)) / Math.log(largest));
  return Math.min(MOST_EVENTS, config.blocks * Math.max(1, events));
}
