/**
 * The batches of a training run, epoch by epoch: packed in this thread, or in a worker thread that reads,
 * shuffles and packs the next ones while this thread computes. Both give the same batches bit by bit.
 */
import type { Histories } from './histories.js';
import { countWindows, packedBatches, type WindowOptions } from './packed-batches.js';
import type { BatchStream } from './types.js';
import { WorkerBatches } from './worker-batches.js';

export interface BatchStreamOptions extends WindowOptions {
  /** Where batches are packed; `auto` (the default) takes a worker where there is enough to pack. */
  readonly packedIn?: 'auto' | 'worker' | 'this-thread';
}

/** Fewer windows than this are packed before a worker thread has even started. */
const WORKER_WINDOWS = 20_000;

export function openBatches(train: Histories, options: BatchStreamOptions): BatchStream {
  const { packedIn = 'auto', usersPerBatch, maxLength, windows } = options;
  const wanted = { usersPerBatch, maxLength, windows };
  const worker =
    packedIn === 'auto' ? countWindows(train, wanted) >= WORKER_WINDOWS : packedIn === 'worker';
  if (worker) return new WorkerBatches(train, wanted);
  return {
    async *epoch(random, skip = 0) {
      yield* packedBatches(train, { ...wanted, random, skip });
    },
    close: () => Promise.resolve(),
  };
}
