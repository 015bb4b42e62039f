/**
 * Locks that are held for longer than a statement: an advisory lock of a transaction that does nothing else, on
 * a connection of its own.
 *
 * A transaction and not a session, because poolers give sessions to others. The server ends it when the process
 * is gone, and also when nothing was heard of a frozen one for 10 s. Its application name says who it is.
 *
 * Once it has the lock it must never have a snapshot, not for the moment of a heartbeat: CREATE INDEX CONCURRENTLY
 * waits for the end of every transaction that it sees with one, and the holder may be who waits for the index.
 */
import { Socket } from 'node:net';
import pg from 'pg';
import { mapDatabaseError } from './errors.js';
import type { HeldBy, Hold } from './types.js';

export interface HoldOptions {
  readonly url: string;
  readonly connectionTimeoutMs: number;
  /** How long a statement may go without an answer until the lock counts as lost. Default 7 s. */
  readonly answerTimeoutMs?: number;
}

/** First number of the advisory locks, so that they are no others' (the second is the lock's). */
const HOLDS = 7_160_327;
const FROZEN_AFTER_MS = 10_000;
const HEARTBEAT_MS = 2_000;
/** With a heartbeat before it less than the server waits: who is cut off knows before another can have the lock. */
const ANSWER_TIMEOUT_MS = 7_000;
/** A goodbye that nobody answers ends nothing; the connection is cut then. */
const GOODBYE_MS = 1_000;

/** Takes no snapshot, and ends the portal of the statement before with the one that it had. */
const SIGN_OF_LIFE = `SET LOCAL idle_in_transaction_session_timeout = ${FROZEN_AFTER_MS}`;

const BEGIN = `BEGIN; ${SIGN_OF_LIFE}; SET LOCAL statement_timeout = ${FROZEN_AFTER_MS}`;

const HELD_BY = `
  SELECT application_name AS holder FROM pg_locks JOIN pg_stat_activity USING (pid)
  WHERE locktype = 'advisory' AND granted AND classid = $1 AND objid = $2 AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

/** See `Database.hold`. */
export async function holdOnPostgres(
  { url, connectionTimeoutMs, answerTimeoutMs = ANSWER_TIMEOUT_MS }: HoldOptions,
  lock: number,
  holder: string,
): Promise<Hold | HeldBy> {
  const socket = new Socket();
  const client = new pg.Client({
    stream: () => socket,
    query_timeout: answerTimeoutMs,
    connectionString: url,
    connectionTimeoutMillis: connectionTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  let lost = false;
  client.on('error', () => (lost = true));
  client.on('end', () => (lost = true));
  const end = async () => {
    const cut = setTimeout(() => socket.destroy(), GOODBYE_MS);
    await client.end().catch(() => undefined);
    clearTimeout(cut);
  };
  try {
    await client.connect();
    await client.query(BEGIN);
    await client.query(`SELECT set_config('application_name', $1, true)`, [holder]);
    const key = [HOLDS, lock];
    const { rows } = await client.query<{ free: boolean }>(
      'SELECT pg_try_advisory_xact_lock($1, $2) AS free',
      key,
    );
    if (!rows[0]!.free) {
      const { rows: holders } = await client.query<{ holder: string }>(HELD_BY, key);
      await end();
      return { heldBy: holders[0]?.holder ?? 'somebody who has just ended' };
    }
    await client.query(SIGN_OF_LIFE);
  } catch (error) {
    await end();
    throw mapDatabaseError(error);
  }
  const heartbeat = setInterval(() => {
    if (lost) return;
    client.query(SIGN_OF_LIFE).catch(() => {
      lost = true;
      // Nothing more is said by it: the server ends the transaction, if it has not.
      socket.destroy();
    });
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    get lost() {
      return lost;
    },
    release: async () => {
      clearInterval(heartbeat);
      // Committed before it ends: whoever comes next need not wait for the server to notice.
      if (!lost) await client.query('COMMIT').catch(() => undefined);
      await end();
    },
  };
}
