/**
 * What becomes of publishes that were asked for over HTTP: one row per version, that of its last try.
 *
 * Only for telling. Which version serves is the pointer's word, and two publishers of one version are kept
 * apart by publishing itself.
 */
import { randomUUID } from 'node:crypto';
import type { Queryable } from '@nestrec/database';

export type PublishState = 'running' | 'published' | 'refused' | 'failed';

export interface PublishRun {
  readonly version: string;
  readonly state: PublishState;
  readonly phase: string;
  /** How far the phase is, 0 to 1. */
  readonly share: number;
  /** Code and text of the refusal or failure; null otherwise. */
  readonly code: string | null;
  readonly detail: string | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
}

interface RunRow extends Record<string, unknown> {
  version: string;
  state: PublishState;
  phase: string;
  share: number;
  code: string | null;
  detail: string | null;
  started_at: Date;
  ended_at: Date | null;
  silent: boolean;
}

/** A process that publishes says more often than this that it lives. */
const MOST_SILENCE_S = 30;

const SILENT = `state = 'running' AND heartbeat_at < clock_timestamp() - interval '${MOST_SILENCE_S} s'`;

/** Begins a run of a known version; null where one is running already. Returns the id to write with. */
export async function beginPublishRun(db: Queryable, version: string): Promise<string | null> {
  const runId = randomUUID();
  const { rowCount } = await db.query(
    `INSERT INTO publish_runs (version, run_id, state, phase, share) VALUES ($1, $2, 'running', 'check', 0)
     ON CONFLICT (version) DO UPDATE SET run_id = excluded.run_id, state = excluded.state,
       phase = excluded.phase, share = excluded.share, code = NULL, detail = NULL,
       started_at = clock_timestamp(), heartbeat_at = clock_timestamp(), ended_at = NULL
     WHERE publish_runs.state <> 'running' OR publish_runs.heartbeat_at
       < clock_timestamp() - interval '${MOST_SILENCE_S} s'`,
    [version, runId],
  );
  return rowCount > 0 ? runId : null;
}

/** Says how far a run is, and that its process lives. */
export async function reportPublishRun(
  db: Queryable,
  runId: string,
  phase: string,
  share: number,
): Promise<void> {
  await db.query(
    `UPDATE publish_runs SET phase = $2, share = $3, heartbeat_at = clock_timestamp()
     WHERE run_id = $1 AND state = 'running'`,
    [runId, phase, Math.min(1, Math.max(0, share))],
  );
}

export async function endPublishRun(
  db: Queryable,
  runId: string,
  end: {
    readonly state: Exclude<PublishState, 'running'>;
    readonly code: string | null;
    readonly detail: string | null;
  },
): Promise<void> {
  await db.query(
    `UPDATE publish_runs SET state = $2, code = $3, detail = $4, ended_at = clock_timestamp()
     WHERE run_id = $1 AND state = 'running'`,
    [runId, end.state, end.code, end.detail],
  );
}

/** The last run of a version, or null. One whose process is gone has failed. */
export async function getPublishRun(db: Queryable, version: string): Promise<PublishRun | null> {
  const { rows } = await db.query<RunRow>(
    `SELECT version, state, phase, share, code, detail, started_at, ended_at, ${SILENT} AS silent
     FROM publish_runs WHERE version = $1`,
    [version],
  );
  const row = rows[0];
  if (row === undefined) return null;
  return {
    ...{ version, phase: row.phase, share: row.share },
    ...(row.silent
      ? {
          state: 'failed',
          code: 'interrupted',
          detail: 'the process that published ended before it was done; publish again',
        }
      : { state: row.state, code: row.code, detail: row.detail }),
    startedAtMs: row.started_at.getTime(),
    endedAtMs: row.ended_at?.getTime() ?? null,
  };
}
