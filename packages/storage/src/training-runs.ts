/**
 * Training runs as they are asked for, looked up and called off. Who may work at one: `training-lease.ts`.
 * Times are the database's own.
 */
import type { TrainingMode, TrainingOptions, TrainingRunStatus } from '@nestrec/contracts';
import { json, type Queryable } from '@nestrec/database';

/** What a run is asked for, and by whom: `cron`, `cli`, or the name of an API client. */
export interface TrainingRequest {
  readonly requestedBy: string;
  readonly mode: TrainingMode;
  readonly publish: boolean;
  readonly options: TrainingOptions;
}

export interface TrainingRun extends TrainingRequest {
  readonly id: bigint;
  readonly requestedAtMs: number;
  readonly status: TrainingRunStatus;
  readonly attempt: number;
  /** The abandoned run whose version and checkpoint it goes on with. */
  readonly continues: bigint | null;
  /** The run that was queued in its place when it was abandoned. */
  readonly retriedAs: bigint | null;
  /** Who works at it, or did. */
  readonly holder: {
    readonly pid: number;
    readonly host: string;
    readonly instance: string;
    readonly startedAtMs: number;
  } | null;
  readonly finishedAtMs: number | null;
  readonly heartbeatAtMs: number | null;
  /** Of its claim; greater than of all claims before. */
  readonly fence: number | null;
  readonly cancelRequested: boolean;
  readonly stage: string | null;
  readonly share: number | null;
  readonly version: string | null;
  readonly published: boolean;
  readonly reason: string | null;
}

/** A row of the table, for the other file that reads it. */
export interface TrainingRunRow extends Record<string, unknown> {
  id: bigint;
  requested_at: Date;
  requested_by: string;
  mode: TrainingMode;
  publish: boolean;
  options: TrainingOptions;
  status: TrainingRunStatus;
  attempt: number;
  continues: bigint | null;
  retried_as: bigint | null;
  holder_pid: number | null;
  holder_host: string | null;
  holder_instance: string | null;
  started_at: Date | null;
  finished_at: Date | null;
  heartbeat_at: Date | null;
  fence: number | null;
  cancel_requested: boolean;
  stage: string | null;
  share: number | null;
  version: string | null;
  published: boolean;
  reason: string | null;
}

export const TRAINING_RUN_COLUMNS =
  'id, requested_at, requested_by, mode, publish, options, status, attempt, continues, retried_as, ' +
  'holder_pid, holder_host, holder_instance, started_at, finished_at, heartbeat_at, fence, cancel_requested, ' +
  'stage, share, version, published, reason';

const timeOf = (date: Date | null) => date?.getTime() ?? null;

export function toTrainingRun(row: TrainingRunRow): TrainingRun {
  const { holder_pid: pid, holder_host: host, holder_instance: instance, started_at: start } = row;
  const known = pid !== null && host !== null && instance !== null && start !== null;
  return {
    ...{ id: row.id, requestedAtMs: row.requested_at.getTime(), requestedBy: row.requested_by },
    ...{ mode: row.mode, publish: row.publish, options: row.options, status: row.status },
    ...{ attempt: row.attempt, continues: row.continues, fence: row.fence },
    retriedAs: row.retried_as,
    holder: known ? { pid, host, instance, startedAtMs: start.getTime() } : null,
    ...{ finishedAtMs: timeOf(row.finished_at), heartbeatAtMs: timeOf(row.heartbeat_at) },
    ...{ cancelRequested: row.cancel_requested, stage: row.stage, share: row.share },
    ...{ version: row.version, published: row.published, reason: row.reason },
  };
}

/** Queues a run behind those that wait already. */
export async function queueTrainingRun(
  db: Queryable,
  request: TrainingRequest,
): Promise<TrainingRun> {
  const { rows } = await db.query<TrainingRunRow>(
    `INSERT INTO training_runs (requested_by, mode, publish, options) VALUES ($1, $2, $3, $4)
     RETURNING ${TRAINING_RUN_COLUMNS}`,
    [request.requestedBy, request.mode, request.publish, json(request.options)],
  );
  return toTrainingRun(rows[0]!);
}

/**
 * Queues a run unless one of the same requester waits already: of ticks that a busy trainer missed, one is
 * enough. Several services with the same cron expression queue one run between them.
 * @returns null where one waits
 */
export async function queueOneTrainingRun(
  tx: Queryable,
  request: TrainingRequest,
  /** Nor where one was asked for so shortly before. */
  sinceMs: number,
): Promise<TrainingRun | null> {
  await tx.query('SELECT pg_advisory_xact_lock($1, 0)', [TRAINING_LOCK]);
  const { rows } = await tx.query<{ waiting: boolean }>(
    `SELECT EXISTS (SELECT FROM training_runs WHERE requested_by = $1 AND (status = 'queued'
       OR requested_at > clock_timestamp() - $2::float8 * interval '1 millisecond')) AS waiting`,
    [request.requestedBy, sinceMs],
  );
  return rows[0]!.waiting ? null : queueTrainingRun(tx, request);
}

/** Any constant: with 0, all who queue once or claim take it in turn; with a fence, the session of a holder. */
export const TRAINING_LOCK = 7_306_084;

export async function getTrainingRun(db: Queryable, id: bigint): Promise<TrainingRun | null> {
  const { rows } = await db.query<TrainingRunRow>(
    `SELECT ${TRAINING_RUN_COLUMNS} FROM training_runs WHERE id = $1`,
    [id],
  );
  return rows[0] ? toTrainingRun(rows[0]) : null;
}

/** Newest first. */
export async function listTrainingRuns(db: Queryable, limit: number): Promise<TrainingRun[]> {
  const { rows } = await db.query<TrainingRunRow>(
    `SELECT ${TRAINING_RUN_COLUMNS} FROM training_runs ORDER BY id DESC LIMIT $1`,
    [limit],
  );
  return rows.map(toTrainingRun);
}

/**
 * Versions that runs of the last day ended before they were done with: what older ones left beside goes by its age.
 * The run that is worked at may go on with one of them.
 */
export async function listLeftVersions(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ version: string }>(
    `SELECT DISTINCT version FROM training_runs
     WHERE status IN ('abandoned', 'cancelled', 'failed') AND version IS NOT NULL
       AND finished_at > clock_timestamp() - interval '1 day' ORDER BY version`,
  );
  return rows.map(({ version }) => version);
}

/** When a run last succeeded, or null. */
export async function lastTrainingSuccess(db: Queryable): Promise<number | null> {
  const { rows } = await db.query<{ at: Date | null }>(
    `SELECT max(finished_at) AS at FROM training_runs WHERE status = 'succeeded'`,
  );
  return timeOf(rows[0]!.at);
}

/**
 * Calls a run off: one that waits at once, one that is worked at as soon as its holder looks. A run that is
 * over stays as it is.
 * @returns the run after it; null where there is none
 */
export async function cancelTrainingRun(db: Queryable, id: bigint): Promise<TrainingRun | null> {
  await db.query(
    `UPDATE training_runs SET
       cancel_requested = true,
       status = CASE status WHEN 'queued' THEN 'cancelled' ELSE status END,
       finished_at = CASE status WHEN 'queued' THEN clock_timestamp() ELSE finished_at END
     WHERE id = $1 AND status IN ('queued', 'running')`,
    [id],
  );
  return getTrainingRun(db, id);
}
