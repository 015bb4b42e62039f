/**
 * PostgreSQL through a pool of `pg`. Every wait has an end: for a connection, for a statement, for a lock,
 * for a transaction whose owner stopped talking (a frozen process would otherwise keep its row locks).
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { DatabaseUnavailable, isError } from '@nestrec/errors';
import { silentLogger, type Logger } from '@nestrec/runtime';
import { mapDatabaseError, sqlState } from './errors.js';
import { hnswSettings, type HnswOptions } from './hnsw-settings.js';
import { checkPostgres } from './postgres-checks.js';
import { holdOnPostgres } from './postgres-hold.js';
import { listenOnPostgres, type ListenerOptions } from './postgres-listener.js';
import { createTransactionScope } from './transaction-scope.js';
import type {
  Database,
  Listening,
  Queryable,
  QueryOptions,
  QueryResult,
  Row,
  TransactionOptions,
} from './types.js';
import { encodeParameters, parserOf } from './values.js';

export interface PostgresOptions {
  /** postgres://user:password@host:port/database?sslmode=... */
  readonly url: string;
  /** Connections at most. max x processes must stay below the server's max_connections - 5. */
  readonly max?: number;
  /** Wait for a free or new connection, ms. */
  readonly connectionTimeoutMs?: number;
  /** Limit of a statement, ms; 0 = none. */
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  readonly idleInTransactionTimeoutMs?: number;
  readonly applicationName?: string;
  /**
   * Lets the server keep the plans of statements in transactions, by connection: half as fast again for
   * ingest's, which are many and alike. A pooler in between has to carry prepared statements (PgBouncer 1.21).
   */
  readonly prepareStatements?: boolean;
  /**
   * Whether statements that ask for it (`QueryOptions.prepare`) may be prepared; a pooler as above. Default
   * true.
   */
  readonly prepareQueries?: boolean;
  readonly hnsw?: HnswOptions;
  /** Accept fsync=off or synchronous_commit=off, which lose acknowledged data in a crash. */
  readonly allowUnsafeDurability?: boolean;
  /** A standby that is only read. */
  readonly replica?: boolean;
  readonly logger?: Logger;
}

const DEFAULTS = {
  max: 10,
  connectionTimeoutMs: 2_000,
  statementTimeoutMs: 10_000,
  lockTimeoutMs: 2_000,
  idleInTransactionTimeoutMs: 5_000,
};

const DEFAULT_APPLICATION_NAME = 'nestrec';

/** How much longer than the server we wait before giving the connection up for dead. */
const GRACE_MS = 1_000;

type Limits = typeof DEFAULTS;

/**
 * A statement whose client was killed ends within this. Without it an index goes on being built for minutes, with
 * the locks that the next publish of its version waits for. A server on Windows cannot do it, and says so by an error.
 */
const ORPHANS_END = `SELECT set_config('client_connection_check_interval', '1s', false)
  WHERE version() !~* 'visual c|msvc|mingw';`;

function sessionSettings(limits: Limits, hnsw: HnswOptions | undefined): string {
  return [
    `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres';`,
    `SET statement_timeout = ${limits.statementTimeoutMs};`,
    `SET lock_timeout = ${limits.lockTimeoutMs};`,
    `SET idle_in_transaction_session_timeout = ${limits.idleInTransactionTimeoutMs};`,
    hnswSettings(hnsw),
    ORPHANS_END,
  ].join(' ');
}

/** Names of texts by text: hashing one costs as much as sending it. Texts of statements are few. */
const names = new Map<string, string>();
const MAX_REMEMBERED_NAMES = 1_000;

/** A prepared statement's name follows from its text, so that equal texts share a plan. */
function nameOf(text: string): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  const name = createHash('sha256').update(text).digest('hex').slice(0, 32);
  if (names.size < MAX_REMEMBERED_NAMES) names.set(text, name);
  return name;
}

/**
 * The plan that a connection keeps no longer fits the tables (0A000), or the server has dropped what pg believes
 * to be prepared (26000: DEALLOCATE or DISCARD ALL, by a pooler for instance). pg remembers a name for as long as
 * the connection lives, so every later use of it would fail as well: only a new connection forgets it.
 */
const isOutdatedPlan = (error: unknown) => ['0A000', '26000'].includes(sqlState(error) ?? '');

/** pg's per-query limit; the published types lack it. */
type LimitedQuery = pg.QueryConfig & { query_timeout?: number };

/** `all`: every statement is prepared; `asked`: those that ask for it. */
type Preparing = 'all' | 'asked' | 'none';

function queryableOn(
  client: pg.Pool | pg.PoolClient,
  statementTimeoutMs: number,
  preparing: Preparing,
): Queryable {
  const limit = statementTimeoutMs > 0 ? { query_timeout: statementTimeoutMs + GRACE_MS } : {};
  const types = { getTypeParser: parserOf } as unknown as pg.CustomTypesConfig;
  return {
    query: async <R extends Row>(
      text: string,
      params?: readonly unknown[],
      options?: QueryOptions,
    ) => {
      const values = encodeParameters(params, 'binary').map((value) =>
        value instanceof Uint8Array
          ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
          : value,
      );
      const config: LimitedQuery = { text, values, types, ...limit };
      const asked = preparing === 'asked' && options?.prepare === true;
      const named = preparing === 'all' || asked ? { ...config, name: nameOf(text) } : config;
      try {
        const result = await client.query(named).catch((error: unknown) => {
          // Outside a transaction nothing is lost: the same without the plan that no longer fits. The pool has
          // closed the connection by now, as it does after any statement that failed.
          if (asked && isOutdatedPlan(mapDatabaseError(error))) return client.query(config);
          throw error;
        });
        return toResult<R>(result);
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    execute: async (script) => {
      const config: LimitedQuery = { text: script, types, ...limit };
      try {
        await client.query(config);
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
  };
}

function toResult<R extends Row>(result: pg.QueryResult): QueryResult<R> {
  return { rows: result.rows as R[], rowCount: result.rowCount ?? 0 };
}

function createPool(options: PostgresOptions, limits: Limits, logger: Logger): pg.Pool {
  const settings = sessionSettings(limits, options.hnsw);
  const pool = new pg.Pool({
    connectionString: options.url,
    max: limits.max,
    connectionTimeoutMillis: limits.connectionTimeoutMs,
    idleTimeoutMillis: 30_000,
    // A peer that vanished without a word is noticed in about 20 s, also during an unlimited statement.
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: options.applicationName ?? DEFAULT_APPLICATION_NAME,
    onConnect: async (client: pg.ClientBase) => {
      await client.query(settings);
    },
  } as pg.PoolConfig);
  const report = (error: Error) =>
    logger.warn(
      { code: (error as { code?: string }).code, reason: error.message },
      'database connection lost',
    );
  // Without these two listeners a server that restarts ends our process: idle clients report through
  // the pool, clients in use but without a running statement report themselves.
  pool.on('error', report);
  pool.on('connect', (client) => client.on('error', report));
  return pool;
}

/** The server did not answer at all: a ROLLBACK would wait as long again, and in vain. */
const isSilent = (error: unknown) =>
  isError(error, DatabaseUnavailable) && sqlState(error) === undefined;

async function runTransaction<T>(
  pool: pg.Pool,
  limits: Limits,
  prepare: boolean,
  options: TransactionOptions | undefined,
  run: (inner: Queryable) => Promise<T>,
): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw mapDatabaseError(error);
  });
  const timeoutMs = options?.statementTimeoutMs ?? limits.statementTimeoutMs;
  const inner = queryableOn(client, timeoutMs, prepare ? 'all' : 'none');
  let broken = true;
  try {
    await inner.execute(
      timeoutMs === limits.statementTimeoutMs
        ? 'BEGIN'
        : `BEGIN; SET LOCAL statement_timeout = ${Math.trunc(timeoutMs)}`,
    );
    try {
      const result = await run(inner);
      await inner.execute('COMMIT');
      broken = false;
      return result;
    } catch (error) {
      if (!isSilent(error)) {
        await inner.execute('ROLLBACK').then(
          () => (broken = isOutdatedPlan(error)),
          () => undefined, // the connection is gone, and with it the transaction
        );
      }
      throw error;
    }
  } finally {
    client.release(broken);
  }
}

/**
 * Opens a pool and checks that the server is fit (see postgres-checks).
 * @throws DatabaseUnavailable when it cannot be reached, DatabaseUnsuitable when it must not be used
 */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const logger = options.logger ?? silentLogger();
  const limits: Limits = {
    max: options.max ?? DEFAULTS.max,
    connectionTimeoutMs: options.connectionTimeoutMs ?? DEFAULTS.connectionTimeoutMs,
    statementTimeoutMs: options.statementTimeoutMs ?? DEFAULTS.statementTimeoutMs,
    lockTimeoutMs: options.lockTimeoutMs ?? DEFAULTS.lockTimeoutMs,
    idleInTransactionTimeoutMs:
      options.idleInTransactionTimeoutMs ?? DEFAULTS.idleInTransactionTimeoutMs,
  };
  const pool = createPool(options, limits, logger);
  const preparing = (options.prepareQueries ?? true) ? 'asked' : 'none';
  const outside = queryableOn(pool, limits.statementTimeoutMs, preparing);
  try {
    const report = await checkPostgres(outside, {
      allowUnsafeDurability: options.allowUnsafeDurability ?? false,
      maxConnections: limits.max,
      replica: options.replica ?? false,
    });
    for (const warning of report.warnings) logger.warn(warning);
    const prepare = options.prepareStatements ?? false;
    const listener: ListenerOptions = {
      url: options.url,
      applicationName: options.applicationName ?? DEFAULT_APPLICATION_NAME,
      connectionTimeoutMs: limits.connectionTimeoutMs,
      logger,
    };
    return adapt(pool, limits, prepare, outside, listener, report.description);
  } catch (error) {
    await pool.end();
    throw error;
  }
}

/** On a connection of the pool that is closed then, with whatever was set on it. */
async function runUnlimited(pool: pg.Pool, statements: readonly string[]): Promise<void> {
  const client = await pool.connect().catch((error: unknown) => {
    throw mapDatabaseError(error);
  });
  try {
    const inner = queryableOn(client, 0, 'none');
    await inner.execute('SET statement_timeout = 0; SET lock_timeout = 0');
    for (const statement of statements) await inner.query(statement);
  } finally {
    client.release(true);
  }
}

function adapt(
  pool: pg.Pool,
  limits: Limits,
  prepare: boolean,
  outside: Queryable,
  listener: ListenerOptions,
  description: string,
): Database {
  const scope = createTransactionScope();
  const listenings = new Set<Listening>();
  let closing: Promise<void> | null = null;
  const assertOpen = () => {
    scope.assertOutside();
    if (closing !== null)
      throw new DatabaseUnavailable({ detail: 'the connection pool is closed' });
  };
  return {
    kind: 'postgres',
    description,
    query: async (text, params, options) => {
      assertOpen();
      return outside.query(text, params, options);
    },
    execute: async (script) => {
      assertOpen();
      return outside.execute(script);
    },
    transaction: async (work, options) => {
      assertOpen();
      return runTransaction(pool, limits, prepare, options, (inner) => scope.run(inner, work));
    },
    listen: (channel, onMessage) => {
      assertOpen();
      const listening = listenOnPostgres(listener, channel, onMessage);
      listenings.add(listening);
      return { stop: () => listening.stop().finally(() => listenings.delete(listening)) };
    },
    unlimited: async (statements) => {
      assertOpen();
      await runUnlimited(pool, statements);
    },
    hold: async (lock, holder) => {
      assertOpen();
      return holdOnPostgres(listener, lock, holder);
    },
    close: () => {
      closing ??= Promise.all([...listenings].map((one) => one.stop())).then(() => pool.end());
      return closing;
    },
  };
}
