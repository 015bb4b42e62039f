/**
 * Reads from a streaming replica, and from the primary while the replica cannot be read.
 *
 * What the replica shows is the primary as it was a moment ago, whole: whoever follows pointers and positions
 * there sees nothing that is not all there. Only reads go through here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseUnavailable, InternalError, isError } from '@nestrec/errors';
import { sqlState } from './errors.js';
import type { Database, Queryable } from './types.js';

/** How long reads stay with the primary before the replica is tried again. */
const AWAY_MS = 2_000;
/** A replica that is silent must not make its primary look unready. */
const STATUS_WITHIN_MS = 150;
/** The replica cancelled the statement to go on replaying (recovery conflict). */
const CONFLICT = '40001';

export interface ReplicaStatus {
  readonly readsFrom: 'replica' | 'primary';
  /** How long ago the newest change that the replica shows was made; null where it does not answer. */
  readonly lagMs: number | null;
}

export interface ReadReplica extends Database {
  status(): Promise<ReplicaStatus>;
}

export interface ReadReplicaOptions {
  readonly primary: Database;
  readonly replica: Database;
  /** Told when reads move to the primary, and when they are back. */
  readonly onMove?: (readsFrom: ReplicaStatus['readsFrom'], error: unknown) => void;
  readonly nowMs?: () => number;
}

export function createReadReplica(options: ReadReplicaOptions): ReadReplica {
  const { primary, replica, onMove, nowMs = () => performance.now() } = options;
  let awayUntilMs: number | null = null;
  let probing: Promise<void> | null = null;

  const leave = (error: unknown) => {
    if (awayUntilMs === null) onMove?.('primary', error);
    awayUntilMs = nowMs() + AWAY_MS;
  };
  /** Back only when it shows all that was read from the primary meanwhile. */
  const probe = async () => {
    try {
      const position = await walPosition(primary);
      if (!(await hasReplayed(replica, position))) return leave(null);
      awayUntilMs = null;
      onMove?.('replica', null);
    } catch (error) {
      leave(error);
    }
  };
  const read = async <T>(work: (db: Database) => Promise<T>): Promise<T> => {
    if (awayUntilMs !== null) {
      if (nowMs() >= awayUntilMs) probing ??= probe().finally(() => (probing = null));
      return work(primary);
    }
    try {
      return await work(replica);
    } catch (error) {
      const isConflict = sqlState(error) === CONFLICT;
      if (!isConflict && !isError(error, DatabaseUnavailable)) throw error;
      if (!isConflict) leave(error);
      return work(primary);
    }
  };
  return {
    kind: 'postgres',
    description: `${replica.description}, a replica`,
    query: (text, params, options) => read((db) => db.query(text, params, options)),
    execute: () =>
      Promise.reject(new InternalError({ cause: new Error('scripts are for the primary') })),
    transaction: (work, limits) => read((db) => db.transaction(work, limits)),
    // A standby takes no LISTEN; what the primary says may be true there a moment later only.
    listen: (channel, onMessage) => primary.listen(channel, onMessage),
    unlimited: () =>
      Promise.reject(new InternalError({ cause: new Error('maintenance is for the primary') })),
    hold: (lock, holder) => primary.hold(lock, holder),
    close: () => replica.close(),
    status: async () => {
      const late = sleep(STATUS_WITHIN_MS, null, { ref: false });
      const lagMs = await Promise.race([readLag(replica).catch(() => null), late]);
      return { readsFrom: awayUntilMs === null ? 'replica' : 'primary', lagMs };
    },
  };
}

async function walPosition(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ position: string }>(
    'SELECT pg_current_wal_insert_lsn()::text AS position',
  );
  return rows[0]!.position;
}

async function hasReplayed(db: Queryable, position: string): Promise<boolean> {
  const { rows } = await db.query<{ replayed: boolean }>(
    // A server that is no standby (any more) shows what it has.
    'SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, true) AS replayed',
    [position],
  );
  return rows[0]!.replayed;
}

/** 0 where all that was received is replayed: without writes, nothing is behind. */
async function readLag(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ lag: number }>(
    `SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
       ELSE coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0)
     END::float8 AS lag`,
  );
  return Math.round(rows[0]!.lag * 1_000);
}
