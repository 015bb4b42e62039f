/** Chooses how many replicas share a training step, and makes them. */
import { availableParallelism } from 'node:os';
import { activeBackend } from '@nestrec/tensor';
import { createParallelSteps } from './parallel-steps.js';
import { replicaCount } from './replica-count.js';
import { createLocalSteps, type StepsInput, type TrainingSteps } from './training-steps.js';

export async function createSteps(
  input: StepsInput,
  workers: number | null,
  say: (note: string) => void,
): Promise<TrainingSteps> {
  const { replicas, note } = replicaCount({
    ...{ backend: activeBackend(), cores: availableParallelism(), asked: workers },
    ...{ config: input.config, usersPerBatch: input.settings.usersPerBatch },
  });
  if (note !== null) say(note);
  return replicas === 1 ? createLocalSteps(input) : createParallelSteps(input, replicas);
}
