/**
 * Trains the SASRec baseline: the batches, the evaluation that stops it and the checkpoints are those of `trainModel`, the
 * network and its steps are its own. The backend is chosen before.
 */
import type { EpochRecord, NamedArrays } from '@nestrec/contracts';
import { countPackedBatches, openBatches, type Split } from '@nestrec/dataset';
import { initSasrec, type SasrecConfig } from '@nestrec/model';
import { createRandom } from '@nestrec/random';
import { systemClock } from '@nestrec/runtime';
import { checkData } from '../check-data.js';
import { createEarlyEvaluation } from '../early-evaluation.js';
import { fingerprintOf } from '../fingerprint.js';
import { createSpeedometer } from '../progress.js';
import { freshState, resumeRun, runEpochs, type Run, type RunControl } from '../run-epochs.js';
import { createSasrecSteps } from './sasrec-steps.js';
import type { SasrecSettings } from './settings.js';

export interface TrainSasrecInput extends RunControl {
  /** Learns from its training part, stops by its validation part. */
  readonly split: Split;
  readonly numItems: number;
  readonly settings: SasrecSettings;
  readonly seed: number;
}

export interface TrainedSasrec {
  readonly config: SasrecConfig;
  /** Of the best epoch, as `initSasrec` names them. */
  readonly parameters: NamedArrays;
  readonly bestEpoch: number;
  /** NDCG@10 on validation, seen items masked, at the best epoch. */
  readonly bestPrimary: number;
  readonly epochs: readonly EpochRecord[];
  /** Wall time of this process's part of the run. */
  readonly seconds: number;
}

const NO_FEATURES = new Float32Array(0);

/**
 * @throws InsufficientData when there is nothing to learn or to judge; InvalidModelConfig; TrainingDiverged; Interrupted
 *   when `signal` is aborted; InvalidInput for a checkpoint that is refused
 */
export async function trainSasrec(input: TrainSasrecInput): Promise<TrainedSasrec> {
  const { split, numItems, settings, seed } = input;
  const { width, blocks, heads, maxLength } = settings;
  const config: SasrecConfig = { width, blocks, heads, maxLength, numItems };
  const validation = split.cases('validation');
  checkData({ numItems, featureWidth: 0 }, split.train, validation, NO_FEATURES);
  const clock = systemClock;
  const startedMs = clock.now();
  const random = createRandom(seed).fork('sasrec');
  const fingerprint = fingerprintOf({
    ...{ config: { kind: 'sasrec', ...config }, settings, seed, validation },
    ...{ train: split.train, features: NO_FEATURES },
  });
  const state =
    (await resumeRun(input, fingerprint)) ??
    freshState(initSasrec(config, random.fork('parameters')));
  const windows = { ...settings, windows: 'all' as const };
  const totalSteps = settings.maxEpochs * countPackedBatches(split.train, windows);
  const steps = createSasrecSteps({
    ...{ config, settings, totalSteps, random: random.state(), stepsDone: state.step },
    ...{ parameters: state.parameters, optimizer: state.optimizer },
  });
  // They are the steps' now: what is kept here too would stay in memory for nothing.
  state.parameters = state.optimizer = new Map();
  const run: Run = {
    ...{ control: input, random, steps, totalSteps, clock, fingerprint },
    settings: { ...settings, evaluateEveryEpochs: 1 },
    // No recurrence: nothing is carried from one step to the next.
    lambdaMaxOf: () => 0,
    evaluation: createEarlyEvaluation(
      split,
      { numItems, sizes: [width] },
      settings,
      random.fork('cases'),
    ),
    speed: createSpeedometer(clock, totalSteps),
    savedAtMs: clock.now(),
    // Last of all, since it may start a thread, and only what follows is sure to end it.
    batches: openBatches(split.train, windows),
  };
  try {
    await runEpochs(run, state);
  } finally {
    await run.batches.close();
    await steps.dispose();
  }
  const { bestEpoch, best } = state.stopping;
  return {
    ...{ config, parameters: state.best!, bestEpoch, bestPrimary: best, epochs: state.epochs },
    seconds: (clock.now() - startedMs) / 1_000,
  };
}
