/**
 * How a training run takes its steps: on this thread alone (here), or on several at once (`parallel-steps.ts`).
 *
 * The results are equal within rounding; which one it is is no part of a run's settings. Knows nothing about
 * epochs, early stopping or checkpoint files.
 */
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import type { PackedBatch } from '@nestrec/dataset';
import { createModel, type LossSettings, type Model, type Parameters } from '@nestrec/model';
import { restoreRandom, type RandomState } from '@nestrec/random';
import { disposeTensors } from '@nestrec/tensor';
import { createOptimizer } from '../optimizer.js';
import type { TrainingSettings } from '../settings.js';

export interface StepsInput {
  readonly config: ModelConfig;
  readonly settings: TrainingSettings;
  /** N x F, as the projector is to see them. */
  readonly features: Float32Array;
  /** Under golden names. */
  readonly parameters: NamedArrays;
  /** The optimiser's state after `stepsDone` steps; empty at the start. */
  readonly optimizer: NamedArrays;
  readonly stepsDone: number;
  readonly totalSteps: number;
  /** Of the run's random stream; each step draws from a stream forked off it. */
  readonly random: RandomState;
}

export interface StepResult {
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
}

/** What ranking needs of a model. */
export type ScoringModel = Pick<Model, 'config' | 'itemTable' | 'lastStates'>;

export interface TrainingSteps {
  /** Threads that share each step. */
  readonly replicas: number;
  /** @param index steps done before this one */
  step(batch: PackedBatch, index: number): Promise<StepResult>;
  /** The model as it stands; to be used up before the next step. */
  scoring(): Promise<{ readonly model: ScoringModel; readonly parameters: Parameters }>;
  exportParameters(): Promise<NamedArrays>;
  exportOptimizer(): Promise<NamedArrays>;
  dispose(): Promise<void>;
}

/** Settings of the loss of step `index`. */
export function lossSettings(
  settings: TrainingSettings,
  random: RandomState,
  index: number,
): LossSettings {
  return {
    lossWeights: settings.lossWeights,
    dropout: settings.dropout,
    residualDrop: settings.residualDropout,
    itemChunk: settings.itemChunk,
    random: restoreRandom(random).fork(`dropout/${index}`),
  };
}

/** Steps on this thread. */
export function createLocalSteps(input: StepsInput): TrainingSteps {
  const { config, settings, features } = input;
  const model = createModel(config, features);
  const parameters = model.createParameters(input.parameters);
  const optimizer = createOptimizer(settings, input.totalSteps, parameters);
  if (input.stepsDone > 0) optimizer.restore(input.optimizer, input.stepsDone);
  return {
    replicas: 1,
    async step(batch, index) {
      const { loss, gradients } = model.lossAndGradients(
        parameters,
        batch,
        lossSettings(settings, input.random, index),
      );
      return { loss, ...optimizer.step(parameters, gradients) };
    },
    scoring: async () => ({ model, parameters }),
    exportParameters: async () => model.exportParameters(parameters),
    exportOptimizer: async () => optimizer.state(),
    async dispose() {
      optimizer.dispose();
      disposeTensors(parameters);
      model.dispose();
    },
  };
}
