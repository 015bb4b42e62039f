/** AdamW as the settings ask for it: its schedule, which parameters decay, and how fast each segment learns. */
import type { Parameters } from '@nestrec/model';
import { LOG_SCORE_SCALE } from '@nestrec/parameters';
import {
  createAdamW,
  spreadValues,
  type AdamW,
  type AdamWOptions,
  type RateFactors,
} from '@nestrec/tensor';
import { learningRateAt } from './learning-rate.js';
import type { TrainingSettings } from './settings.js';

export function createOptimizer(
  settings: TrainingSettings,
  sizes: readonly number[],
  totalSteps: number,
  parameters: Parameters,
): AdamW {
  // The recurrence's three rows of numbers are stacked, but no matrix.
  const isMatrix = (name: string) =>
    (parameters.get(name)?.rank ?? 0) >= 2 && !name.endsWith('params_log');
  return createAdamW(optimizerOptions(settings, sizes, totalSteps, isMatrix));
}

export function optimizerOptions(
  settings: TrainingSettings,
  sizes: readonly number[],
  totalSteps: number,
  isMatrix: (name: string) => boolean,
): AdamWOptions {
  const rate = {
    ...{ peak: settings.learningRate, finalShare: settings.finalLearningRateShare },
    ...{ warmupSteps: settings.warmupSteps, totalSteps },
  };
  return {
    // The optimiser counts its steps from 1.
    lr: (step) => learningRateAt(step - 1, rate),
    betas: [settings.beta1, settings.beta2],
    eps: settings.epsilon,
    weightDecay: settings.weightDecay,
    decays: (name) => settings.decays === 'all' || isMatrix(name),
    clipNorm: settings.clipNorm,
    factors: segmentFactors(settings.segmentRates, sizes),
  };
}

/** By the segment of the coordinate that a number makes. */
function segmentFactors(
  rates: readonly number[],
  sizes: readonly number[],
): AdamWOptions['factors'] {
  if (rates.every((rate) => rate === 1)) return undefined;
  const byCoordinate = spreadValues(sizes, rates);
  const known = new Map<string, RateFactors | null>();
  return (name, shape) => {
    const found = known.get(name) ?? factorsOf(name, shape, byCoordinate);
    known.set(name, found);
    return found;
  };
}

function factorsOf(
  name: string,
  shape: readonly number[],
  byCoordinate: Float32Array,
): RateFactors | null {
  if (name === LOG_SCORE_SCALE) return null;
  // A linear's weight has a row for every coordinate that it puts out; all else ends in coordinates. Complex ones have
  // them twice.
  const along = shape.length === 2 && name.endsWith('.weight') ? 'rows' : 'columns';
  const length = along === 'rows' ? shape[0]! : shape.at(-1)!;
  const values = Float32Array.from({ length }, (_, i) => byCoordinate[i % byCoordinate.length]!);
  return { along, values };
}
