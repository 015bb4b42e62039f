/** How many replicas share the steps of a run, and how a step is cut to fit the memory; decided before anything is made. */
import { availableParallelism } from 'node:os';
import type { ModelConfig } from '@nestrec/contracts';
import type { Histories } from '@nestrec/dataset';
import { activeBackend } from '@nestrec/tensor';
import type { TrainingSettings } from '../settings.js';
import { createParallelSteps } from './parallel-steps.js';
import { replicaCount } from './replica-count.js';
import { isSampled } from './sampled-steps.js';
import { createLocalSteps, type StepsInput, type TrainingSteps } from './training-steps.js';
import { fitItemChunk } from './wasm-memory.js';

export interface StepsPlan {
  readonly replicas: number;
  readonly itemChunk: number;
  /** Something that whoever started the run should know; null: nothing. */
  readonly note: string | null;
}

/**
 * @param workers replicas asked for; null: as fits the backend, the cores and the step
 * @throws InsufficientMemory where a step does not fit the backend's memory, however it is cut
 */
export function planSteps(
  config: ModelConfig,
  settings: TrainingSettings,
  train: Histories,
  workers: number | null,
): StepsPlan {
  const backend = activeBackend();
  if (isSampled(config, settings)) return sampledPlan(settings, workers);
  const { replicas, note } = replicaCount({
    ...{ backend, cores: availableParallelism(), asked: workers },
    ...{ config, usersPerBatch: settings.usersPerBatch },
  });
  const labels = labelsPerStep(train, settings);
  const { itemChunk } = settings;
  if (backend !== 'wasm') return { replicas, itemChunk, note };
  return { replicas, itemChunk: fitItemChunk({ config, labels, replicas, itemChunk }), note };
}

/** Such a step is small wherever the catalogue ends: nothing to share, and nothing that would not fit. */
function sampledPlan({ itemChunk }: TrainingSettings, workers: number | null): StepsPlan {
  const note =
    (workers ?? 1) > 1
      ? `NESTREC_TRAIN_WORKERS is ${workers}, but steps against a sample of the items take one worker`
      : null;
  return { replicas: 1, itemChunk, note };
}

export async function createSteps(
  input: StepsInput,
  { replicas, itemChunk }: StepsPlan,
): Promise<TrainingSteps> {
  const planned = { ...input, settings: { ...input.settings, itemChunk } };
  return replicas === 1 ? createLocalSteps(planned) : createParallelSteps(planned, replicas);
}

/** Mean number of labels of a step. */
export function labelsPerStep(
  train: Histories,
  { maxLength, windows, usersPerBatch }: TrainingSettings,
): number {
  let labels = 0;
  let count = 0;
  for (let row = 0; row < train.rows; row++) {
    const events = train.end[row]! - train.begin[row]!;
    labels += windows === 'all' ? events : Math.min(events, maxLength);
    count += windows === 'all' ? Math.ceil(events / maxLength) : Math.min(events, 1);
  }
  return count === 0 ? 0 : (labels / count) * Math.min(count, usersPerBatch);
}
