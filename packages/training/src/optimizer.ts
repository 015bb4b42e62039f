/** AdamW as the settings ask for it: its schedule, and which parameters decay. */
import type { Parameters } from '@nestrec/model';
import { createAdamW, type AdamW, type AdamWOptions } from '@nestrec/tensor';
import { learningRateAt } from './learning-rate.js';
import type { TrainingSettings } from './settings.js';

export function createOptimizer(
  settings: TrainingSettings,
  totalSteps: number,
  parameters: Parameters,
): AdamW {
  // The recurrence's three rows of numbers are stacked, but no matrix.
  const isMatrix = (name: string) =>
    (parameters.get(name)?.rank ?? 0) >= 2 && !name.endsWith('params_log');
  return createAdamW(optimizerOptions(settings, totalSteps, isMatrix));
}

export function optimizerOptions(
  settings: TrainingSettings,
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
  };
}
