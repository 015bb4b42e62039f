/** How many replicas share the steps of a run, and how a step is cut to fit the memory; decided before anything is made. */
import { availableParallelism } from 'node:os';
import type { ModelConfig } from '@nestrec/contracts';
import type { Histories } from '@nestrec/dataset';
import { activeBackend, setNativeThreads } from '@nestrec/tensor';
import type { TrainingSettings } from '../settings.js';
import { createParallelSteps } from './parallel-steps.js';
import { createQuerySteps } from './query-steps.js';
import { replicaCount } from './replica-count.js';
import { createSampledSteps, isSampled, type SampledStepsInput } from './sampled-steps.js';
import { createLocalSteps, type StepsInput, type TrainingSteps } from './training-steps.js';
import { fitItemChunk } from './wasm-memory.js';
import type { WarmStart } from '../warm-start.js';
import { whiten } from '../whitening.js';

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
  trains: WarmStart['trains'] = 'all',
): StepsPlan {
  const backend = activeBackend();
  if (backend === 'native') {
    setNativeThreads(workers ?? availableParallelism());
    return { replicas: 1, itemChunk: settings.itemChunk, note: null };
  }
  if (isSampled(config, settings)) return sampledPlan(settings, workers);
  const { replicas, note } =
    trains === 'query'
      ? queryPlan(workers)
      : replicaCount({
          ...{ backend, cores: availableParallelism(), asked: workers },
          ...{ config, usersPerBatch: settings.usersPerBatch },
        });
  const labels = labelsPerStep(train, settings);
  const { itemChunk } = settings;
  if (backend !== 'wasm') return { replicas, itemChunk, note };
  return { replicas, itemChunk: fitItemChunk({ config, labels, replicas, itemChunk }), note };
}

/** The items need no sharing out: they are not trained. */
function queryPlan(workers: number | null): Pick<StepsPlan, 'replicas' | 'note'> {
  const note =
    (workers ?? 1) > 1
      ? `NESTREC_TRAIN_WORKERS is ${workers}, but steps of the query side alone take one worker`
      : null;
  return { replicas: 1, note };
}

/** Such a step is small wherever the catalogue ends: nothing to share, and nothing that would not fit. */
function sampledPlan({ itemChunk }: TrainingSettings, workers: number | null): StepsPlan {
  const note =
    (workers ?? 1) > 1
      ? `NESTREC_TRAIN_WORKERS is ${workers}, but steps against a sample of the items take one worker`
      : null;
  return { replicas: 1, itemChunk, note };
}

/** @param input features are raw; whitening is laid over them here. */
export async function createSteps(
  input: SampledStepsInput,
  { replicas, itemChunk }: StepsPlan,
): Promise<TrainingSteps> {
  if (isSampled(input.config, input.settings)) return createSampledSteps(input);
  const { whitening, features, config, totalSteps, parameters, optimizer, stepsDone, random } =
    input;
  // Field by field, since it may go to other threads, where the events of the training part cannot go.
  const planned: StepsInput = {
    ...{ config, totalSteps, parameters, optimizer, stepsDone, random },
    features: whitening === null ? features : whiten(features, whitening),
    settings: { ...input.settings, itemChunk },
  };
  if (input.trains === 'query') return createQuerySteps(planned);
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
