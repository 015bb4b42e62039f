/**
 * Waits for a training run of the running server to end. A run that was abandoned and queued again is followed to
 * the one in its place: what was asked for is over when that one is.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { trainingRunAnswerSchema, type TrainingRunAnswer } from '@nestrec/contracts';
import { DataFolderInUse, Interrupted, isError } from '@nestrec/errors';
import type { Output } from './output.js';
import type { AdminRequest } from './running-server.js';

export const RUNS = '/v1/training-runs';
const POLL_MS = 500;

/** @throws Interrupted where the server is gone */
export async function followRun(
  output: Pick<Output, 'note'>,
  ask: AdminRequest,
  begun: TrainingRunAnswer,
  pollMs = POLL_MS,
): Promise<TrainingRunAnswer> {
  let run = begun;
  for (;;) {
    if (run.status === 'queued' || run.status === 'running') {
      await sleep(pollMs);
      run = await look(ask, run.id);
    } else if (run.status === 'abandoned' && run.retried_as !== null) {
      output.note(
        `Run ${run.id}: ${run.reason ?? run.status}. It goes on as run ${run.retried_as}.`,
      );
      run = await look(ask, run.retried_as);
    } else return run;
  }
}

async function look(ask: AdminRequest, id: string): Promise<TrainingRunAnswer> {
  try {
    return await ask('GET', `${RUNS}/${id}`, trainingRunAnswerSchema);
  } catch (error) {
    if (!isError(error, DataFolderInUse)) throw error;
    throw new Interrupted({
      detail:
        `The server does not answer any more. Run ${id} is worked at by the next server on this data folder; ` +
        `see nestrec runs show ${id}.`,
      cause: error,
    });
  }
}
