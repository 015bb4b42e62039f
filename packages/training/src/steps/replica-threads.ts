/**
 * The threads of the other replicas, as calls with answers. Whatever happens to a thread (an exception, the end of
 * its memory, an exit) ends the pending call and every later one with `TrainingThreadFailed`: nothing waits forever.
 */
import type { Worker } from 'node:worker_threads';
import { TrainingThreadFailed } from '@nestrec/errors';
import { startThread } from '@nestrec/runtime';
import type { ReplicaAnswer, ReplicaCall, ReplicaStart } from './replica-calls.js';

/** Characters of a thread's own error text. */
const LONGEST_MESSAGE = 300;

type Value = number | string | null;

export interface ReplicaThread {
  /** Resolves once the replica stands. */
  readonly ready: Promise<Value>;
  /** One call at a time. */
  call(call: ReplicaCall): Promise<Value>;
  end(): Promise<void>;
}

export function startReplica(start: ReplicaStart): ReplicaThread {
  const { rank } = start.input;
  const thread = startThread(import.meta.url, 'replica-thread', {
    ...{ workerData: start, name: `replica ${rank}` },
  });
  const answers = answersOf(thread, rank);
  return {
    ready: answers.next(),
    call(call) {
      const next = answers.next();
      thread.postMessage(call);
      return next;
    },
    async end() {
      await thread.terminate();
    },
  };
}

function answersOf(thread: Worker, rank: number) {
  let failure: Error | null = null;
  let waiting: { resolve: (value: Value) => void; reject: (error: Error) => void } | null = null;
  const fail = (what: string, cause?: unknown) => {
    failure ??= new TrainingThreadFailed({
      detail:
        `replica ${rank} ${what}: run the same command again to go on from the checkpoint, ` +
        'with NESTREC_TRAIN_WORKERS=1 should it happen again',
      cause,
    });
    waiting?.reject(failure);
    waiting = null;
  };
  thread.on('message', (answer: ReplicaAnswer) => {
    if ('failure' in answer) {
      const { message, stack } = answer.failure;
      return fail(`failed (${message.slice(0, LONGEST_MESSAGE)})`, stack ?? message);
    }
    waiting?.resolve(answer.value);
    waiting = null;
  });
  thread.on('error', (error) => fail(`failed (${error.message.slice(0, LONGEST_MESSAGE)})`, error));
  thread.on('messageerror', (error) => fail(`gave no readable answer (${error.message})`, error));
  thread.on('exit', (code) => fail(`ended with code ${code}`));
  return {
    next(): Promise<Value> {
      const answer = new Promise<Value>((resolve, reject) => {
        if (failure === null) waiting = { resolve, reject };
        else reject(failure);
      });
      // Heard of where it is awaited; the main thread's own part may be at work until then.
      answer.catch(() => {});
      return answer;
    },
  };
}
