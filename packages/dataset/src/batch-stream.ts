/**
 * The batches of a training run, epoch by epoch: packed in this thread, or in a worker thread that reads,
 * shuffles and packs the next ones while this thread computes. Both give the same batches bit by bit.
 */
import type { Histories } from './histories.js';
import { NumberFile } from './numbers.js';
import { packedBatches, type WindowOptions } from './packed-batches.js';
import type { BatchStream } from './types.js';
import { WorkerBatches } from './worker-batches.js';

export interface BatchStreamOptions extends WindowOptions {
  /** Where batches are packed; `auto` (the default) takes a worker where there is enough to pack. */
  readonly packedIn?: 'auto' | 'worker' | 'this-thread';
}

/**
 * From so many events in memory on. Packing takes 0.1 to 0.2 µs an event, a thread starts in 60 ms and takes
 * 15 MB: with fewer events it would not earn its start within an epoch (docs/results.md, input).
 */
const WORKER_EVENTS = 500_000;

export function openBatches(train: Histories, options: BatchStreamOptions): BatchStream {
  const { packedIn = 'auto', usersPerBatch, maxLength, windows } = options;
  const wanted = { usersPerBatch, maxLength, windows };
  // A file is never read by the thread that trains: a disk may keep it waiting.
  const pays = train.items instanceof NumberFile || train.events >= WORKER_EVENTS;
  if (packedIn === 'worker' || (packedIn === 'auto' && pays))
    return new WorkerBatches(train, wanted);
  return {
    async *epoch(random, skip = 0) {
      yield* packedBatches(train, { ...wanted, random, skip });
    },
    close: () => Promise.resolve(),
  };
}
