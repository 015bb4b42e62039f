/** How many replicas a training step is worth. Pure. */
import type { ModelConfig } from '@nestrec/contracts';

export interface ReplicaCountInput {
  /** As TensorFlow.js calls it. */
  readonly backend: string;
  readonly cores: number;
  /** What the process was told (NESTREC_TRAIN_WORKERS); null: decide here. */
  readonly asked: number | null;
  readonly config: ModelConfig;
  readonly usersPerBatch: number;
}

/** Whether a backend's kernels keep to one core. */
export const usesOneCore = (backend: string) => backend === 'wasm' || backend === 'cpu';

/** Items x dimensions x users of a step from which a second replica pays (docs/results.md). */
const LEAST_WORK = 4_000_000;

export function replicaCount(input: ReplicaCountInput): {
  readonly replicas: number;
  readonly note: string | null;
} {
  const { backend, cores, asked, config, usersPerBatch } = input;
  // A replica without users or items has nothing to do.
  const most = Math.min(usersPerBatch, config.numItems);
  if (!usesOneCore(backend)) {
    const note =
      (asked ?? 1) > 1
        ? `NESTREC_TRAIN_WORKERS is ${asked}, but backend ${backend} uses every core by itself: one worker`
        : null;
    return { replicas: 1, note };
  }
  if (asked !== null) return { replicas: Math.min(asked, most), note: null };
  const work = config.numItems * config.sizes.at(-1)! * usersPerBatch;
  return { replicas: work < LEAST_WORK ? 1 : Math.min(cores, most), note: null };
}
