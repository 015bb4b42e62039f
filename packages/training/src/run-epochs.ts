/**
 * The epochs of a training run, whatever is trained: steps, an evaluation each epoch, early stopping, checkpoints and
 * progress. What a step does is behind `TrainingSteps`.
 *
 * Everything random comes from streams named by the seed, the epoch and the step, so that a run that was killed and
 * continued from its checkpoint takes the same steps as one that was not.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EpochRecord, NamedArray, NamedArrays } from '@nestrec/contracts';
import type { BatchStream, PackedBatch } from '@nestrec/dataset';
import { Interrupted, isError, InvalidInput, TrainingDiverged } from '@nestrec/errors';
import type { Random } from '@nestrec/random';
import type { Clock } from '@nestrec/runtime';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.js';
import type { EarlyEvaluation } from './early-evaluation.js';
import { afterEvaluation, EARLY_STOPPING_START, shouldStop } from './early-stopping.js';
import { learningRateAt } from './learning-rate.js';
import type { createSpeedometer, TrainingProgress } from './progress.js';
import type { RunState } from './run-state.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingSteps } from './steps/training-steps.js';

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

/** What a caller of a training may watch and steer. */
export interface RunControl {
  readonly checkpoint?: CheckpointOptions | undefined;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  /** Aborted: the run writes its checkpoint and ends with `Interrupted`. */
  readonly signal?: AbortSignal | undefined;
}

/** Settings of the loop; the steps have their own. */
export type EpochSettings = Pick<
  TrainingSettings,
  | 'maxEpochs'
  | 'patience'
  | 'evaluateEveryEpochs'
  | 'learningRate'
  | 'finalLearningRateShare'
  | 'warmupSteps'
>;

/** What the steps of a run share. */
export interface Run {
  readonly control: RunControl;
  readonly settings: EpochSettings;
  readonly random: Random;
  readonly steps: TrainingSteps;
  readonly batches: BatchStream;
  readonly evaluation: EarlyEvaluation;
  readonly totalSteps: number;
  readonly speed: ReturnType<typeof createSpeedometer>;
  readonly clock: Clock;
  readonly fingerprint: string;
  /** max |lambda| of parameters; 0 where there is no recurrence. */
  readonly lambdaMaxOf: (parameters: NamedArrays) => number;
  savedAtMs: number;
}

/** A run before its first step. */
export function freshState(parameters: NamedArrays): RunState {
  return {
    ...{ step: 0, epoch: 1, batchInEpoch: 0, lossSum: 0, labelSum: 0 },
    ...{ stopping: EARLY_STOPPING_START, epochs: [], best: null },
    ...{ parameters, optimizer: new Map() },
  };
}

/** The state that a checkpoint holds; null where there is none, or one of another run that is not to be refused. */
export async function resumeRun(
  { checkpoint, onProgress }: RunControl,
  fingerprint: string,
): Promise<RunState | null> {
  if (!checkpoint) return null;
  try {
    return await loadCheckpoint(checkpoint.path, fingerprint);
  } catch (error) {
    if (checkpoint.other === 'refuse') throw error;
    const reason = isError(error, InvalidInput) ? error.message : 'the checkpoint is unreadable';
    onProgress?.({ kind: 'note', text: `starting anew: ${reason}` });
    return null;
  }
}

/** @throws TrainingDiverged; Interrupted */
export async function runEpochs(run: Run, state: RunState): Promise<void> {
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
  run.control.onProgress?.({
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
  const { checkpoint, signal } = run.control;
  await nextTurn();
  if (signal?.aborted) {
    await save(run, state);
    const kept = checkpoint ? '; the checkpoint is kept and the run can go on' : '';
    throw new Interrupted({ detail: `training stopped at step ${state.step}${kept}` });
  }
  if (checkpoint && run.clock.now() - run.savedAtMs >= checkpoint.everyMs) await save(run, state);
}

async function save(run: Run, state: RunState): Promise<void> {
  const { checkpoint } = run.control;
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
    lambdaMax: run.lambdaMaxOf(exported),
  };
  if (result) state.stopping = afterEvaluation(state.stopping, state.epoch, result.primary);
  const best = result !== null && state.stopping.bestEpoch === state.epoch;
  if (best) state.best = kept(exported, state.best);
  state.epochs = [...state.epochs, record];
  state.epoch++;
  state.batchInEpoch = state.lossSum = state.labelSum = 0;
  run.speed.aside(run.clock.now() - startedMs);
  run.control.onProgress?.({ kind: 'epoch', record, best });
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
