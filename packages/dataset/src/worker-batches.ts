/**
 * Batches from a worker thread. This side asks for one batch after the other, a few ahead of the one that
 * is being computed with; the worker (`batch-worker.ts`) answers in that order and hands memory over.
 */
import type { Worker } from 'node:worker_threads';
import { WorkerFailed } from '@nestrec/errors';
import type { Random } from '@nestrec/random';
import { startThread } from '@nestrec/runtime';
import type { BatchRequest, BatchWorkerData } from './batch-worker.js';
import type { Histories } from './histories.js';
import { NumberFile } from './numbers.js';
import type { WindowOptions } from './packed-batches.js';
import type { BatchStream, PackedBatch } from './types.js';

/** Batches asked for before they are needed: two hide a slow read, more would only take memory. */
const AHEAD = 2;

interface Waiting {
  readonly resolve: (batch: PackedBatch | null) => void;
  readonly reject: (error: Error) => void;
}

export class WorkerBatches implements BatchStream {
  private readonly worker: Worker;
  /** Requests without an answer, oldest first. */
  private readonly waiting: Waiting[] = [];
  private failure: Error | null = null;

  constructor(train: Histories, options: WindowOptions) {
    const { items, begin, end } = train;
    const workerData: BatchWorkerData = {
      items:
        items instanceof NumberFile
          ? { descriptor: items.descriptor, length: items.length }
          : items.subarray(0, items.length),
      ...{ begin, end, options },
    };
    this.worker = startThread(import.meta.url, 'batch-worker', { workerData });
    // Nobody waits any more for an answer that comes while the thread is being ended.
    this.worker.on('message', (batch: PackedBatch | null) => this.waiting.shift()?.resolve(batch));
    this.worker.on('messageerror', (error) => this.fail('sent what cannot be read', error));
    this.worker.on('error', (error) => this.fail('failed', error));
    this.worker.on('exit', (code) => this.fail(`ended with code ${code}`));
  }

  async *epoch(random: Random, skip = 0): AsyncGenerator<PackedBatch, void, undefined> {
    this.send({ kind: 'epoch', random: random.state(), skip });
    const asked = Array.from({ length: AHEAD }, () => this.ask());
    for (;;) {
      const batch = await asked.shift()!;
      if (batch === null) return;
      asked.push(this.ask());
      yield batch;
    }
  }

  async close(): Promise<void> {
    this.fail('was closed');
    await this.worker.terminate();
  }

  private ask(): Promise<PackedBatch | null> {
    const answer = new Promise<PackedBatch | null>((resolve, reject) => {
      if (this.failure !== null) return reject(this.failure);
      this.waiting.push({ resolve, reject });
      this.send({ kind: 'next' });
    });
    // An epoch that is left early never looks at its last answers.
    answer.catch(() => {});
    return answer;
  }

  private send(request: BatchRequest): void {
    this.worker.postMessage(request);
  }

  private fail(what: string, cause?: unknown): void {
    if (this.failure !== null) return;
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    const failure = new WorkerFailed({
      detail: `The thread that packs batches ${what}${reason}. Training goes on from its checkpoint when started again.`,
      cause,
    });
    this.failure = failure;
    for (const { reject } of this.waiting.splice(0)) reject(failure);
  }
}
