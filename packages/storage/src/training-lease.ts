/**
 * Who works at training: one process at a time, and nobody who was thought dead.
 *
 * A claim holds by three things. A session-level advisory lock on the holder's own connection, which the
 * database frees when the process dies. A lease that heartbeats prolong, for holders that are frozen or cut
 * off with their session open. And a fence, a number that grows with every claim: whatever a holder does to the
 * run, and the statement that publishes, asks for its fence, so that one who wakes after another took over does
 * nothing. The embedded database has one process and no sessions; there the holder's instance says who lives.
 */
import { json, type Database, type Queryable } from '@nestrec/database';
import {
  toTrainingRun,
  TRAINING_LOCK,
  TRAINING_RUN_COLUMNS,
  type TrainingRequest,
  type TrainingRun,
  type TrainingRunRow,
} from './training-runs.js';

export interface TrainingHolder {
  readonly pid: number;
  readonly host: string;
  /** A UUID that no other process has. */
  readonly instance: string;
}

export interface ClaimOptions {
  readonly holder: TrainingHolder;
  /** The oldest run that waits, or one that is made now. */
  readonly take: 'queued' | TrainingRequest;
  /** How long the claim lasts without a heartbeat. */
  readonly leaseMs: number;
  /** How long after its last heartbeat a holder whose session is gone counts as alive: it may be coming back. */
  readonly graceMs: number;
  /** Queue again what others than `cli` asked for and a holder left, up to so many tries in all. */
  readonly attempts: number;
}

export type Claim =
  | { readonly outcome: 'claimed'; readonly run: TrainingRun & { readonly fence: number } }
  | { readonly outcome: 'busy'; readonly run: TrainingRun }
  | { readonly outcome: 'empty' };

/** A claimed run, as its holder names it. */
export interface HeldRun {
  readonly id: bigint;
  readonly fence: number;
}

/** A version that a killed trainer left is worth going on with for so long. */
const CONTINUED_WITHIN = "interval '24 hours'";

/**
 * Claims a run. The lock of the holder is that of the session, so `session` must be a database of a single
 * connection that nobody else uses (embedded: the database itself).
 */
export async function claimTrainingRun(session: Database, options: ClaimOptions): Promise<Claim> {
  return session.transaction(async (tx): Promise<Claim> => {
    await tx.query('SELECT pg_advisory_xact_lock($1, 0)', [TRAINING_LOCK]);
    const embedded = session.kind === 'pglite';
    const busy = await endDeadRun(tx, options, embedded);
    if (busy !== null) return { outcome: 'busy', run: busy };
    const id = options.take === 'queued' ? await oldestQueued(tx) : await insert(tx, options.take);
    if (id === null) return { outcome: 'empty' };
    const run = await begin(tx, id, options);
    if (!embedded) await tx.query('SELECT pg_advisory_lock($1, $2)', [TRAINING_LOCK, run.fence]);
    return { outcome: 'claimed', run };
  });
}

/** Marks a run whose holder is gone; returns the run where its holder lives. */
async function endDeadRun(
  tx: Queryable,
  options: ClaimOptions,
  embedded: boolean,
): Promise<TrainingRun | null> {
  const { rows } = await tx.query<TrainingRunRow & { expired: boolean; silent: boolean }>(
    `SELECT ${TRAINING_RUN_COLUMNS}, lease_until <= clock_timestamp() AS expired,
       heartbeat_at <= clock_timestamp() - $1::float8 * interval '1 millisecond' AS silent
     FROM training_runs WHERE status = 'running' FOR UPDATE`,
    [options.graceMs],
  );
  const row = rows[0];
  if (row === undefined) return null;
  const gone = embedded
    ? row.holder_instance !== options.holder.instance
    : row.silent && (await isSessionGone(tx, row.fence!));
  if (!gone && !row.expired) return toTrainingRun(row);
  // What a killed trainer had published is served: there is nothing left to do.
  await tx.query(
    `UPDATE training_runs SET status = CASE WHEN published THEN 'succeeded'
         WHEN cancel_requested THEN 'cancelled' ELSE 'abandoned' END,
       finished_at = clock_timestamp(), reason = $2 WHERE id = $1`,
    [row.id, `its trainer (process ${row.holder_pid} on ${row.holder_host}) is gone or frozen`],
  );
  const isOver = row.published || row.cancel_requested || row.requested_by === 'cli';
  if (!isOver && row.attempt < options.attempts) {
    await queueAgain(tx, row.id, row.attempt + 1);
  }
  return null;
}

/** Queues what an abandoned run was asked for again, and notes there as which run. */
async function queueAgain(tx: Queryable, id: bigint, attempt: number): Promise<void> {
  await tx.query(
    `WITH again AS (
       INSERT INTO training_runs (requested_by, mode, publish, options, attempt)
       SELECT requested_by, mode, publish, options, $2 FROM training_runs WHERE id = $1
       RETURNING id)
     UPDATE training_runs SET retried_as = (SELECT id FROM again) WHERE id = $1`,
    [id, attempt],
  );
}

/** The lock of a dead session is free; taken here, it is given back with the transaction. */
async function isSessionGone(tx: Queryable, fence: number): Promise<boolean> {
  const { rows } = await tx.query<{ free: boolean }>(
    'SELECT pg_try_advisory_xact_lock($1, $2) AS free',
    [TRAINING_LOCK, fence],
  );
  return rows[0]!.free;
}

async function oldestQueued(tx: Queryable): Promise<bigint | null> {
  const { rows } = await tx.query<{ id: bigint }>(
    `SELECT id FROM training_runs WHERE status = 'queued' ORDER BY id LIMIT 1 FOR UPDATE`,
  );
  return rows[0]?.id ?? null;
}

async function insert(tx: Queryable, request: TrainingRequest): Promise<bigint> {
  const { rows } = await tx.query<{ id: bigint }>(
    `INSERT INTO training_runs (requested_by, mode, publish, options) VALUES ($1, $2, $3, $4) RETURNING id`,
    [request.requestedBy, request.mode, request.publish, json(request.options)],
  );
  return rows[0]!.id;
}

/**
 * Starts a run. It goes on with the version of the newest abandoned one that was asked for the same, unless
 * that one was published or another went on with it.
 */
async function begin(tx: Queryable, id: bigint, { holder, leaseMs }: ClaimOptions) {
  const { rows } = await tx.query<TrainingRunRow>(
    `WITH this AS (SELECT id, mode, options FROM training_runs WHERE id = $1),
     left_over AS (
       SELECT a.id, a.version FROM training_runs a, this
       WHERE a.status = 'abandoned' AND NOT a.published AND a.version IS NOT NULL
         AND a.mode = this.mode AND a.options = this.options
         AND a.finished_at > clock_timestamp() - ${CONTINUED_WITHIN}
         AND NOT EXISTS (SELECT FROM training_runs c WHERE c.continues = a.id)
       ORDER BY a.id DESC LIMIT 1)
     UPDATE training_runs r SET status = 'running',
       fence = (SELECT coalesce(max(fence), 0) + 1 FROM training_runs),
       holder_pid = $2, holder_host = $3, holder_instance = $4,
       started_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
       lease_until = clock_timestamp() + $5::float8 * interval '1 millisecond',
       continues = (SELECT id FROM left_over), version = (SELECT version FROM left_over)
     FROM this WHERE r.id = this.id
     RETURNING ${CLAIMED_COLUMNS}`,
    [id, holder.pid, holder.host, holder.instance, leaseMs],
  );
  const run = toTrainingRun(rows[0]!);
  return { ...run, fence: run.fence! };
}

/** The columns of the row that is claimed, beside those of the one it continues. */
const CLAIMED_COLUMNS = TRAINING_RUN_COLUMNS.replaceAll(/\w+/g, 'r.$&');

/** Asked wherever a holder changes something. */
const HELD = `id = $1 AND fence = $2 AND status = 'running'`;

export interface Heartbeat extends HeldRun {
  readonly leaseMs: number;
  readonly stage: string | null;
  /** Of the stage, 0 to 1; null where nobody can tell. */
  readonly share: number | null;
}

/**
 * Prolongs the lease, says how far the run is, and takes the session's lock again where the connection was lost.
 * @returns null where the run is not the holder's any more
 */
export async function beatTrainingRun(
  session: Database,
  beat: Heartbeat,
): Promise<{ readonly cancelRequested: boolean } | null> {
  const { rows } = await session.query<{ cancel_requested: boolean }>(
    `UPDATE training_runs SET heartbeat_at = clock_timestamp(),
       lease_until = clock_timestamp() + $3::float8 * interval '1 millisecond', stage = $4, share = $5
     WHERE ${HELD} RETURNING cancel_requested`,
    [beat.id, beat.fence, beat.leaseMs, beat.stage, beat.share],
  );
  if (rows[0] === undefined) return null;
  if (session.kind === 'postgres') await keepSessionLock(session, beat.fence);
  return { cancelRequested: rows[0].cancel_requested };
}

/** A claimer may try the lock just now, and lets go of it at once; the next heartbeat takes it then. */
async function keepSessionLock(session: Queryable, fence: number): Promise<void> {
  await session.query(
    `SELECT CASE WHEN EXISTS (
         SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
           AND classid = $1::int::oid AND objid = $2::int::oid AND objsubid = 2)
       THEN true ELSE pg_try_advisory_lock($1::int, $2::int) END`,
    [TRAINING_LOCK, fence],
  );
}

/** Notes the version that the run makes. False where the run is not the holder's any more. */
export async function nameTrainingVersion(
  db: Queryable,
  { id, fence }: HeldRun,
  version: string,
): Promise<boolean> {
  const { rowCount } = await db.query(`UPDATE training_runs SET version = $3 WHERE ${HELD}`, [
    ...[id, fence, version],
  ]);
  return rowCount === 1;
}

/**
 * Notes, in the transaction that moves the pointer, that the run published. It waits for a claimer that is
 * judging the run, and the claimer for it.
 * @returns false where the run is not the holder's any more, or was called off: then nothing may be published
 */
export async function markTrainingPublished(
  tx: Queryable,
  { id, fence }: HeldRun,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE training_runs SET published = true WHERE ${HELD} AND NOT cancel_requested`,
    [id, fence],
  );
  return rowCount === 1;
}

export interface TrainingEnd extends HeldRun {
  readonly status: 'succeeded' | 'refused' | 'failed' | 'cancelled' | 'abandoned';
  /** Why nothing was published, or what failed. */
  readonly reason: string | null;
  /** Queue it again as this try: its holder was told to stop, or lost its process. */
  readonly againAsAttempt?: number | null;
}

/**
 * Ends a run and frees the session's lock. One that had published when it was abandoned has succeeded; one that was
 * called off by then is cancelled, and not queued again.
 * @returns false where the run is not the holder's any more; nothing changed then
 */
export async function endTrainingRun(session: Database, end: TrainingEnd): Promise<boolean> {
  const { againAsAttempt = null } = end;
  const ended = await session.transaction(async (tx) => {
    const { rows } = await tx.query<{ status: string }>(
      `UPDATE training_runs SET finished_at = clock_timestamp(),
         reason = CASE WHEN $3 = 'abandoned' AND cancel_requested AND NOT published
           THEN 'it was called off' ELSE $4 END,
         status = CASE WHEN $3 <> 'abandoned' THEN $3 WHEN published THEN 'succeeded'
           WHEN cancel_requested THEN 'cancelled' ELSE $3 END
       WHERE ${HELD} RETURNING status`,
      [end.id, end.fence, end.status, end.reason],
    );
    if (rows[0]?.status === 'abandoned' && againAsAttempt !== null) {
      await queueAgain(tx, end.id, againAsAttempt);
    }
    return rows.length === 1;
  });
  if (session.kind === 'postgres') {
    await session.query('SELECT pg_advisory_unlock($1, $2)', [TRAINING_LOCK, end.fence]);
  }
  return ended;
}
