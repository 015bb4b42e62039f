/** Parameters that a training begins with when it goes on with no other's: drawn, item vectors perhaps by spectrum. */
import type { ModelConfig, NamedArray, NamedArrays } from '@nestrec/contracts';
import type { Histories } from '@nestrec/dataset';
import {
  initParameters,
  ITEM_RESIDUAL,
  PROJECTOR_BIAS,
  PROJECTOR_WEIGHT,
} from '@nestrec/parameters';
import type { Random } from '@nestrec/random';
import type { TrainingSettings } from '../settings.js';
import { spectralStart } from './spectral-start.js';

export interface DrawInput {
  readonly settings: TrainingSettings;
  readonly random: Random;
  readonly histories: Histories;
  /** N x F, as the projector is to see them. */
  readonly features: Float32Array;
}

export function drawParameters(config: ModelConfig, input: DrawInput): NamedArrays {
  const { settings, random } = input;
  // The residual starts from a stream and a scale of its own.
  const others = { ...config, itemResidual: false };
  const parameters = new Map(initParameters(others, random.fork('parameters')));
  if (!config.itemResidual) return parameters;
  if (settings.itemStart === 'spectral') return startBySpectrum(config, parameters, input);
  const width = config.sizes.at(-1)!;
  const draw = random.fork('residual');
  const deviation = deviationOf(config, settings);
  const data = new Float32Array(config.numItems * width);
  for (let i = 0; i < data.length; i++) data[i] = draw.normal() * deviation;
  return parameters.set(ITEM_RESIDUAL, { shape: [config.numItems, width], data });
}

const deviationOf = ({ sizes }: ModelConfig, { residualStart }: TrainingSettings) =>
  residualStart / Math.sqrt(sizes.at(-1)!);

/** What ends a branch of a block; at 0 every block begins by handing its input on. */
const BRANCH_ENDS = /\.(lru_layer\.out_proj|feed_forward\.w_2)\./;

function startBySpectrum(
  config: ModelConfig,
  parameters: Map<string, NamedArray>,
  { settings, random, histories, features }: DrawInput,
): NamedArrays {
  const { sizes, numItems, featureWidth } = config;
  const width = sizes.at(-1)!;
  const { projector, bias, residual } = spectralStart({
    ...{ histories, numItems, width, features, featureWidth },
    ...{ featureWeight: settings.spectralFeatureWeight, random: random.fork('spectrum') },
    deviation: deviationOf(config, settings),
  });
  if (featureWidth > 0) {
    parameters.set(PROJECTOR_WEIGHT, { shape: [width, featureWidth], data: projector });
  }
  parameters.set(PROJECTOR_BIAS, { shape: [width], data: bias });
  parameters.set(ITEM_RESIDUAL, { shape: [numItems, width], data: residual });
  for (const [name, { data }] of parameters) if (BRANCH_ENDS.test(name)) data.fill(0);
  return parameters;
}
