/**
 * The training recipe, start to end: data -> packed batches -> fused loss and gradients -> AdamW ->
 * validation each epoch -> the best parameters.
 *
 * The backend is chosen before (`selectBackend` of @nestrec/tensor). Everything random comes from streams
 * named by the seed, the epoch and the step, so that a run that was killed and continued from its
 * checkpoint takes the same steps as one that was not.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EpochRecord, ModelConfig, NamedArray, NamedArrays } from '@nestrec/contracts';
import {
  countPackedBatches,
  openBatches,
  type BatchStream,
  type PackedBatch,
  type Split,
} from '@nestrec/dataset';
import { Interrupted, isError, InvalidInput, TrainingDiverged } from '@nestrec/errors';
import { lambdaMax, PROJECTOR_WEIGHT } from '@nestrec/parameters';
import { createRandom, type Random } from '@nestrec/random';
import { systemClock, type Clock } from '@nestrec/runtime';
import { checkData } from './check-data.js';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.js';
import { createEarlyEvaluation, type EarlyEvaluation } from './early-evaluation.js';
import { afterEvaluation, EARLY_STOPPING_START, shouldStop } from './early-stopping.js';
import { fingerprintOf } from './fingerprint.js';
import { learningRateAt } from './learning-rate.js';
import { createSpeedometer, type TrainingProgress } from './progress.js';
import { drawParameters } from './start/draw-parameters.js';
import type { RunState } from './run-state.js';
import { checkSettings, type TrainingSettings } from './settings.js';
import { createSteps, planSteps } from './steps/plan-steps.js';
import type { TrainingSteps } from './steps/training-steps.js';
import { checkWarmSettings, startingParameters, type WarmStart } from './warm-start.js';
import {
  fitInvertibleWhitening,
  fitWhitening,
  foldProjector,
  whiten,
  type Whitening,
} from './whitening.js';

export interface TrainModelInput {
  readonly config: ModelConfig;
  readonly settings: TrainingSettings;
  readonly split: Split;
  /** N x F, row r is item r + 1. */
  readonly features: Float32Array;
  readonly seed: number;
  readonly checkpoint?: CheckpointOptions | undefined;
  /** Parameters to begin with. Default: drawn by the seed. */
  readonly start?: WarmStart | undefined;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  /** Aborted: the run writes its checkpoint and ends with `Interrupted`. */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
  /**
   * Threads that share each step; the result is the same within rounding. Default: by the backend, the cores and
   * the size of the step.
   */
  readonly workers?: number | null | undefined;
}

export interface CheckpointOptions {
  /**
   * Stays when the run is done, so that a caller who is killed before the result is safe need not train
   * again: `removeCheckpoint` once it is.
   */
  readonly path: string;
  /** Shortest time between two checkpoints; one is also written at every end of epoch. */
  readonly everyMs: number;
  /** What to do with a checkpoint of another run, or a damaged one. */
  readonly other: 'refuse' | 'restart';
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

/** What the steps of a run share. */
interface Run {
  readonly input: TrainModelInput;
  readonly settings: TrainingSettings;
  readonly random: Random;
  readonly steps: TrainingSteps;
  readonly batches: BatchStream;
  readonly evaluation: EarlyEvaluation;
  readonly totalSteps: number;
  readonly speed: ReturnType<typeof createSpeedometer>;
  readonly clock: Clock;
  readonly fingerprint: string;
  savedAtMs: number;
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
  const resumed = await resume(input, fingerprint);
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
    ...{ input, settings, random, steps, totalSteps, clock, fingerprint },
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

async function resume(input: TrainModelInput, fingerprint: string): Promise<RunState | null> {
  if (!input.checkpoint) return null;
  try {
    return await loadCheckpoint(input.checkpoint.path, fingerprint);
  } catch (error) {
    if (input.checkpoint.other === 'refuse') throw error;
    const reason = isError(error, InvalidInput) ? error.message : 'the checkpoint is unreadable';
    input.onProgress?.({ kind: 'note', text: `starting anew: ${reason}` });
    return null;
  }
}

function startState(
  config: ModelConfig,
  { input, settings, random, whitening }: StartInput,
): RunState {
  return {
    ...{ step: 0, epoch: 1, batchInEpoch: 0, lossSum: 0, labelSum: 0 },
    ...{ stopping: EARLY_STOPPING_START, epochs: [], best: null },
    parameters:
      input.start === undefined
        ? drawParameters(config, {
            ...{ settings, random, histories: input.split.train },
            features: whitening === null ? input.features : whiten(input.features, whitening),
          })
        : startingParameters(config, input.start, whitening),
    optimizer: new Map(),
  };
}

interface StartInput {
  readonly input: TrainModelInput;
  readonly settings: TrainingSettings;
  readonly random: Random;
  readonly whitening: Whitening | null;
}

async function runEpochs(run: Run, state: RunState): Promise<void> {
  const { settings } = run;
  const goesOn = () =>
    state.epoch <= settings.maxEpochs && !shouldStop(state.stopping, settings.patience);
  while (goesOn()) {
    // A resumed epoch has the same batches in the same order; those that were done are left out.
    const random = run.random.fork(`batches/${state.epoch}`);
    for await (const batch of run.batches.epoch(random, state.batchInEpoch)) {
      await takeStep(run, state, batch);
      await pause(run, state);
    }
    await endEpoch(run, state);
    await save(run, state);
  }
}

async function takeStep(run: Run, state: RunState, batch: PackedBatch): Promise<void> {
  const { settings } = run;
  const startedMs = run.clock.now();
  const { loss, gradientNorm } = await run.steps.step(batch, state.step);
  state.step++;
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
    throw new TrainingDiverged({
      detail:
        `loss ${loss}, gradient norm ${gradientNorm} at step ${state.step} of epoch ${state.epoch} ` +
        `(learning rate ${settings.learningRate}): lower learningRate or clipNorm, and check the ` +
        'item features for extreme values',
    });
  }
  state.batchInEpoch++;
  state.lossSum += loss * batch.labels;
  state.labelSum += batch.labels;
  run.speed.step(startedMs, batch.users.length);
  run.input.onProgress?.({
    kind: 'step',
    epoch: state.epoch,
    maxEpochs: settings.maxEpochs,
    step: state.step,
    totalSteps: run.totalSteps,
    loss,
    learningRate: learningRateOf(run, state.step - 1),
    usersPerSecond: run.speed.usersPerSecond(),
    workers: run.steps.replicas,
    etaSeconds: run.speed.etaSeconds(state.step),
  });
}

function learningRateOf(run: Run, step: number): number {
  const { learningRate: peak, finalLearningRateShare: finalShare, warmupSteps } = run.settings;
  return learningRateAt(step, { peak, finalShare, warmupSteps, totalSteps: run.totalSteps });
}

/** Between steps: lets signals and timers in, stops when asked to, saves when it is time. */
async function pause(run: Run, state: RunState): Promise<void> {
  await nextTurn();
  if (run.input.signal?.aborted) {
    await save(run, state);
    const kept = run.input.checkpoint ? '; the checkpoint is kept and the run can go on' : '';
    throw new Interrupted({ detail: `training stopped at step ${state.step}${kept}` });
  }
  const { checkpoint } = run.input;
  if (checkpoint && run.clock.now() - run.savedAtMs >= checkpoint.everyMs) await save(run, state);
}

async function save(run: Run, state: RunState): Promise<void> {
  const { checkpoint } = run.input;
  if (!checkpoint) return;
  const startedMs = run.clock.now();
  const parameters = await run.steps.exportParameters();
  const optimizer = await run.steps.exportOptimizer();
  await saveCheckpoint(checkpoint.path, { ...state, parameters, optimizer }, run.fingerprint);
  run.savedAtMs = run.clock.now();
  run.speed.aside(run.savedAtMs - startedMs);
}

/** Judges the epoch, keeps the parameters if they are the best, and turns to the next epoch. */
async function endEpoch(run: Run, state: RunState): Promise<void> {
  const { settings } = run;
  const startedMs = run.clock.now();
  const due =
    state.epoch % settings.evaluateEveryEpochs === 0 || state.epoch === settings.maxEpochs;
  const result = due ? await run.evaluation.evaluate(run.steps) : null;
  const exported = await run.steps.exportParameters();
  const record: EpochRecord = {
    epoch: state.epoch,
    step: state.step,
    loss: state.lossSum / Math.max(1, state.labelSum),
    primary: result?.primary ?? null,
    bySize: result?.bySize ?? {},
    ...(result?.byExit === undefined ? {} : { byExit: result.byExit }),
    lambdaMax: lambdaMax(run.input.config, exported),
  };
  if (result) state.stopping = afterEvaluation(state.stopping, state.epoch, result.primary);
  const best = result !== null && state.stopping.bestEpoch === state.epoch;
  if (best) state.best = kept(exported, state.best);
  state.epochs = [...state.epochs, record];
  state.epoch++;
  state.batchInEpoch = state.lossSum = state.labelSum = 0;
  run.speed.aside(run.clock.now() - startedMs);
  run.input.onProgress?.({ kind: 'epoch', record, best });
}

/** A copy that outlasts the next step, in the memory of an older one where there is one. */
function kept(arrays: NamedArrays, older: NamedArrays | null): NamedArrays {
  const copies = new Map<string, NamedArray>();
  for (const [name, { shape, data }] of arrays) {
    const copy = older?.get(name)?.data ?? new Float32Array(data.length);
    copy.set(data);
    copies.set(name, { shape, data: copy });
  }
  return copies;
}

function withRawProjector(parameters: NamedArrays, whitening: Whitening | null): NamedArrays {
  if (!whitening) return parameters;
  const projector = parameters.get(PROJECTOR_WEIGHT)!;
  const data = foldProjector(projector.data, whitening);
  const shape = [projector.shape[0]!, whitening.width];
  return new Map(parameters).set(PROJECTOR_WEIGHT, { shape, data });
}
