/**
 * The program of a replica's thread: its own instance of the backend, one replica, an answer to each call.
 *
 * Started by `replica-threads.ts`; ends when it is terminated, or with the process.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { InternalError } from '@nestrec/errors';
import { selectBackend, type BackendName } from '@nestrec/tensor';
import {
  answer,
  type ReplicaAnswer,
  type ReplicaCall,
  type ReplicaStart,
} from './replica-calls.js';
import { createReplica } from './replica.js';

if (parentPort === null) throw new InternalError({ detail: 'a replica runs on a thread only.' });
const port = parentPort;
const { backend, input, shared } = workerData as ReplicaStart;

async function attempt(work: () => ReturnType<typeof answer> | Promise<null>): Promise<void> {
  let reply: ReplicaAnswer;
  try {
    reply = { value: await work() };
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    reply = { failure: { message, stack } };
  }
  port.postMessage(reply);
}

await attempt(async () => {
  await selectBackend({ force: backend as BackendName });
  const replica = createReplica(input, shared);
  port.on('message', (call: ReplicaCall) => void attempt(() => answer(replica, call)));
  return null;
});
