/**
 * Where a run begins that goes on with another version's parameters: the same numbers, items matched by id.
 *
 * Knows neither databases nor artifacts. Parameters are for raw features, as an artifact holds them.
 */
import type { ModelConfig, NamedArray, NamedArrays } from '@nestrec/contracts';
import { InvalidConfig } from '@nestrec/errors';
import { ITEM_RESIDUAL, PROJECTOR_WEIGHT, requireParameter } from '@nestrec/parameters';
import type { TrainingSettings } from './settings.js';
import { unfoldProjector, type Whitening } from './whitening.js';

export interface WarmStart {
  /** Shapes as the new model's configuration asks for (`transferParameters`). */
  readonly parameters: NamedArrays;
  /** `query`: item vectors stay as they are, to the bit; only what makes queries is trained. */
  readonly trains: 'all' | 'query';
}

/**
 * The parameters of a model with the items `itemIds`, from those of one with `fromItemIds`. Residual rows go
 * with their items; rows of items that are gone go.
 * @param residualOfNew what the item of a row begins with that is new; null: nothing
 */
export function transferParameters(
  parameters: NamedArrays,
  fromItemIds: readonly string[],
  itemIds: readonly string[],
  residualOfNew: (row: number) => Float32Array | null = () => null,
): Map<string, NamedArray> {
  const result = new Map(parameters);
  const residual = parameters.get(ITEM_RESIDUAL);
  if (residual === undefined) return result;
  const width = residual.shape[1]!;
  const rowOf = new Map(fromItemIds.map((id, row) => [id, row]));
  const data = new Float32Array(itemIds.length * width);
  itemIds.forEach((id, row) => {
    const from = rowOf.get(id);
    const values =
      from === undefined
        ? residualOfNew(row)
        : residual.data.subarray(from * width, (from + 1) * width);
    if (values !== null) data.set(values, row * width);
  });
  return result.set(ITEM_RESIDUAL, { shape: [itemIds.length, width], data });
}

/** @throws InvalidConfig for settings under which the parameters could not be taken over whole */
export function checkWarmSettings(start: WarmStart, settings: TrainingSettings): void {
  const { featureComponents, whitenFeatures, residualDropout } = settings;
  const faults = [
    ...(featureComponents > 0
      ? [`featureComponents is ${featureComponents}: cut directions would be lost; set it to 0`]
      : []),
    ...(start.trains === 'query' && whitenFeatures
      ? ['whitenFeatures is true: the projector is not trained; set it to false']
      : []),
    ...(start.trains === 'query' && residualDropout.some((rate) => rate > 0)
      ? ['residualDropout is not 0: item vectors are served as they stand; set it to 0']
      : []),
  ];
  if (faults.length === 0) return;
  throw new InvalidConfig({
    detail: `a warm start cannot use these settings: ${faults.join('; ')}`,
  });
}

/** The parameters as training sees them: the projector stands behind the whitening. */
export function startingParameters(
  config: ModelConfig,
  { parameters }: WarmStart,
  whitening: Whitening | null,
): NamedArrays {
  const copies = new Map<string, NamedArray>();
  // Training writes into what it is given.
  for (const [name, { shape, data }] of parameters) copies.set(name, { shape, data: data.slice() });
  if (whitening === null) return copies;
  const shape = [config.sizes.at(-1)!, config.featureWidth];
  const { data } = requireParameter(parameters, PROJECTOR_WEIGHT, shape);
  return copies.set(PROJECTOR_WEIGHT, { shape, data: unfoldProjector(data, whitening) });
}
