/**
 * The training recipe, start to end: data -> packed batches -> fused loss and gradients -> AdamW ->
 * validation each epoch -> the best parameters.
 *
 * The backend is chosen before (`selectBackend` of @nestrec/tensor). Everything random comes from streams
 * named by the seed, the epoch and the step, so that a run that was killed and continued from its
 * checkpoint takes the same steps as one that was not.
 */
import type { EpochRecord, ModelConfig, NamedArrays } from '@nestrec/contracts';
import { countPackedBatches, openBatches, type Split } from '@nestrec/dataset';
import { lambdaMax, PROJECTOR_WEIGHT } from '@nestrec/parameters';
import { createRandom, type Random } from '@nestrec/random';
import { systemClock, type Clock } from '@nestrec/runtime';
import { checkData } from './check-data.js';
import { createEarlyEvaluation } from './early-evaluation.js';
import { fingerprintOf } from './fingerprint.js';
import { createSpeedometer } from './progress.js';
import { drawParameters } from './start/draw-parameters.js';
import { freshState, resumeRun, runEpochs, type Run, type RunControl } from './run-epochs.js';
import type { RunState } from './run-state.js';
import { checkSettings, type TrainingSettings } from './settings.js';
import { createSteps, planSteps } from './steps/plan-steps.js';
import { checkWarmSettings, startingParameters, type WarmStart } from './warm-start.js';
import {
  fitInvertibleWhitening,
  fitWhitening,
  foldProjector,
  whiten,
  type Whitening,
} from './whitening.js';

export interface TrainModelInput extends RunControl {
  readonly config: ModelConfig;
  readonly settings: TrainingSettings;
  readonly split: Split;
  /** N x F, row r is item r + 1. */
  readonly features: Float32Array;
  readonly seed: number;
  /** Parameters to begin with. Default: drawn by the seed. */
  readonly start?: WarmStart | undefined;
  readonly clock?: Clock | undefined;
  /**
   * Threads that share each step; the result is the same within rounding. Default: by the backend, the cores and
   * the size of the step.
   */
  readonly workers?: number | null | undefined;
}

export interface TrainingResult {
  /** The best epoch's parameters, for raw features, under the names of the golden files. */
  readonly parameters: NamedArrays;
  /** max |lambda| of these parameters. */
  readonly lambdaMax: number;
  readonly bestEpoch: number;
  /** The primary metric at the best epoch. */
  readonly bestPrimary: number;
  readonly epochs: readonly EpochRecord[];
  readonly steps: number;
  /** Wall time of this process's part of the run. */
  readonly seconds: number;
  /** Step the run was continued from; 0 when it began here. */
  readonly resumedAtStep: number;
}

/**
 * Trains one model.
 *
 * @throws InsufficientData when there is nothing to learn or to judge; InvalidConfig and
 *   InvalidModelConfig for settings that do not fit; InsufficientMemory for a model that does not fit the
 *   backend; TrainingThreadFailed; TrainingDiverged when a loss or a gradient is not
 *   finite; Interrupted when `signal` is aborted; InvalidInput for a checkpoint that is refused.
 */
export async function trainModel(input: TrainModelInput): Promise<TrainingResult> {
  const { config, split, features, seed } = input;
  const settings = checkSettings(input.settings, config.sizes);
  const validation = split.cases('validation');
  checkData(config, split.train, validation, features);
  const { start } = input;
  if (start !== undefined) checkWarmSettings(start, settings);
  const plan = planSteps(config, settings, split.train, input.workers ?? null, start?.trains);
  if (plan.note !== null) input.onProgress?.({ kind: 'note', text: plan.note });
  const clock = input.clock ?? systemClock;
  const startedMs = clock.now();
  const fingerprint = fingerprintOf({
    ...{ config, settings, seed, features, validation, start },
    train: split.train,
  });
  const random = createRandom(seed);
  const whitening = whiteningFor(input, settings);
  // What is trained may be narrower than the model that comes out: the projector is folded back at the end.
  const trained = { ...config, featureWidth: whitening?.components ?? config.featureWidth };
  const resumed = await resumeRun(input, fingerprint);
  const resumedAtStep = resumed?.step ?? 0;
  const state = resumed ?? startState(trained, { input, settings, random, whitening });
  const totalSteps = settings.maxEpochs * countPackedBatches(split.train, settings);
  const steps = await createSteps(
    {
      ...{ config: trained, settings, totalSteps, features, whitening, train: split.train },
      ...{ parameters: state.parameters, optimizer: state.optimizer, stepsDone: resumedAtStep },
      random: random.state(),
      trains: start?.trains,
    },
    plan,
  );
  // They are the steps' now: what is kept here too would stay in memory for nothing.
  state.parameters = state.optimizer = new Map();
  const run: Run = {
    ...{ control: input, settings, random, steps, totalSteps, clock, fingerprint },
    lambdaMaxOf: (parameters) => lambdaMax(config, parameters),
    evaluation: createEarlyEvaluation(split, config, settings, random.fork('cases')),
    speed: createSpeedometer(clock, totalSteps),
    savedAtMs: clock.now(),
    // Last of all, since it may start a thread, and only what follows is sure to end it.
    batches: openBatches(split.train, settings),
  };
  try {
    await runEpochs(run, state);
    const best = withRawProjector(state.best!, whitening);
    return {
      parameters: best,
      lambdaMax: lambdaMax(config, best),
      bestEpoch: state.stopping.bestEpoch,
      bestPrimary: state.stopping.best,
      epochs: state.epochs,
      steps: state.step,
      seconds: (clock.now() - startedMs) / 1_000,
      resumedAtStep,
    };
  } finally {
    await run.batches.close();
    await steps.dispose();
  }
}

function whiteningFor(input: TrainModelInput, settings: TrainingSettings): Whitening | null {
  const { featureWidth } = input.config;
  if (!settings.whitenFeatures || featureWidth === 0) return null;
  if (input.start !== undefined) return fitInvertibleWhitening(input.features, featureWidth);
  const components = settings.featureComponents < featureWidth ? settings.featureComponents : 0;
  const whitening = fitWhitening(input.features, featureWidth, components);
  if (components > 0) {
    const share = (100 * whitening.explained).toFixed(1);
    input.onProgress?.({
      kind: 'note',
      text: `item features cut from ${featureWidth} to ${components} directions, which hold ${share} % of their second moment`,
    });
  }
  return whitening;
}

function startState(
  config: ModelConfig,
  { input, settings, random, whitening }: StartInput,
): RunState {
  return freshState(
    input.start === undefined
      ? drawParameters(config, {
          ...{ settings, random, histories: input.split.train },
          features: whitening === null ? input.features : whiten(input.features, whitening),
        })
      : startingParameters(config, input.start, whitening),
  );
}

interface StartInput {
  readonly input: TrainModelInput;
  readonly settings: TrainingSettings;
  readonly random: Random;
  readonly whitening: Whitening | null;
}

function withRawProjector(parameters: NamedArrays, whitening: Whitening | null): NamedArrays {
  if (!whitening) return parameters;
  const projector = parameters.get(PROJECTOR_WEIGHT)!;
  const data = foldProjector(projector.data, whitening);
  const shape = [projector.shape[0]!, whitening.width];
  return new Map(parameters).set(PROJECTOR_WEIGHT, { shape, data });
}
