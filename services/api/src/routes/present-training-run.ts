/** A training run as the API and the command line show it. */
import type { TrainingRunAnswer } from '@nestrec/contracts';
import type { TrainingRun } from '@nestrec/storage';

const at = (ms: number) => new Date(ms).toISOString();
const atOrNull = (ms: number | null) => (ms === null ? null : at(ms));

export function presentTrainingRun(run: TrainingRun): TrainingRunAnswer {
  const { holder, stage, share } = run;
  return {
    ...{ id: String(run.id), requested_at: at(run.requestedAtMs), requested_by: run.requestedBy },
    ...{ mode: run.mode, publish: run.publish, options: run.options, status: run.status },
    holder: holder && { pid: holder.pid, host: holder.host, started_at: at(holder.startedAtMs) },
    finished_at: atOrNull(run.finishedAtMs),
    heartbeat_at: atOrNull(run.heartbeatAtMs),
    progress: stage === null ? null : { stage, share },
    ...{ version: run.version, published: run.published, reason: run.reason },
    retried_as: run.retriedAs === null ? null : String(run.retriedAs),
  };
}
