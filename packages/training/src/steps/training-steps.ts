/**
 * How a training run takes its steps: on this thread alone (here), on several at once (`parallel-steps.ts`), against a
 * sample of the items (`sampled-steps.ts`), or with the items as they are (`query-steps.ts`).
 *
 * Knows nothing about epochs, early stopping or checkpoint files.
 */
import type { ModelConfig, NamedArrays } from '@nestrec/contracts';
import type { EvaluationCases, PackedBatch } from '@nestrec/dataset';
import { createModel, type LossSettings } from '@nestrec/model';
import { restoreRandom, type RandomState } from '@nestrec/random';
import { disposeTensors, type SizeRanks } from '@nestrec/tensor';
import { rankWithModel } from '../model-ranks.js';
import { createOptimizer } from '../optimizer.js';
import type { SeenItems } from '../seen-items.js';
import type { TrainingSettings } from '../settings.js';
import type { WarmStart } from '../warm-start.js';

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
  /** Default: `all`. */
  readonly trains?: WarmStart['trains'] | undefined;
}

export interface StepResult {
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
}

export interface TrainingSteps {
  /** Threads that share each step. */
  readonly replicas: number;
  /** @param index steps done before this one */
  step(batch: PackedBatch, index: number): Promise<StepResult>;
  /** Ranks of evaluation cases under the model as it stands; after the first `blocks` blocks, by default all. */
  rank(cases: EvaluationCases, seen: SeenItems, blocks?: number): Promise<SizeRanks>;
  /** May be the memory that the next step changes: copy what is to last longer. */
  exportParameters(): Promise<NamedArrays>;
  /** As `exportParameters`. */
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
    exitWeight: settings.exitWeight,
    prefixShares: settings.prefixShares,
    dropout: settings.dropout,
    blockDropout: settings.blockDropout,
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
  const optimizer = createOptimizer(settings, config.sizes, input.totalSteps, parameters);
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
    rank: async (cases, seen, blocks) =>
      rankWithModel(model, parameters, cases, seen, settings.maxLength, blocks),
    exportParameters: async () => model.exportParameters(parameters),
    exportOptimizer: async () => optimizer.state(),
    async dispose() {
      optimizer.dispose();
      disposeTensors(parameters);
      model.dispose();
    },
  };
}
