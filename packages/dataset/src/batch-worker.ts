/**
 * The thread that packs batches (started by `worker-batches.ts`). Answers every `next` in order, with a
 * batch or with null at the end of the epoch, and keeps nothing of what it handed over.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { restoreRandom, type RandomState } from '@nestrec/random';
import { Histories } from './histories.js';
import { NumberFile } from './numbers.js';
import { packedBatches, type WindowOptions } from './packed-batches.js';
import type { PackedBatch } from './types.js';

export interface BatchWorkerData {
  /** Shared memory, or an open file of this process. */
  readonly items: Int32Array | { readonly descriptor: number; readonly length: number };
  readonly begin: Int32Array;
  readonly end: Int32Array;
  readonly options: WindowOptions;
}

export type BatchRequest =
  | { readonly kind: 'epoch'; readonly random: RandomState; readonly skip: number }
  | { readonly kind: 'next' };

const { items, begin, end, options } = workerData as BatchWorkerData;
const train = new Histories(
  items instanceof Int32Array ? items : new NumberFile(items.descriptor, items.length, Int32Array),
  begin,
  end,
);
const port = parentPort!;
let batches: Iterator<PackedBatch> | null = null;

port.on('message', (request: BatchRequest) => {
  if (request.kind === 'epoch') {
    const { skip } = request;
    batches = packedBatches(train, { ...options, random: restoreRandom(request.random), skip });
    return;
  }
  const next = batches!.next();
  if (next.done === true) return port.postMessage(null);
  const buffers = Object.values(next.value as object)
    .filter((value) => ArrayBuffer.isView(value))
    .map((array) => array.buffer as ArrayBuffer);
  port.postMessage(next.value, buffers);
});
