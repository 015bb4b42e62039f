/**
 * The database as the rest of nestrec sees it: one interface, one set of value types, two adapters
 * (PGlite in process, PostgreSQL through a pool). SQL is PostgreSQL's on both.
 *
 * Values that come back, equal on both: int2/int4/oid/float4/float8 -> number, int8 -> bigint,
 * numeric -> string, bool -> boolean, bytea -> Uint8Array, timestamptz and timestamp -> Date (ms,
 * UTC; infinity is refused), json/jsonb -> parsed, arrays of these -> arrays, everything else
 * (text, uuid, vector, date, interval ...) -> string. Beware: count(*) and sum(int) are int8.
 *
 * Values that go in: null, string, boolean, number, bigint, Date, Uint8Array (bytea), other typed arrays
 * (SQL arrays), arrays (SQL arrays; pass JSON arrays through `json()`), `json(value)`, `vector(value)`.
 */
export type Row = Record<string, unknown>;

export interface QueryResult<R extends Row = Row> {
  readonly rows: R[];
  /** Rows returned, or rows changed by a statement that returns none. */
  readonly rowCount: number;
}

export interface QueryOptions {
  /**
   * The server may keep this statement's plan, by connection: for texts that come again and again, few in
   * number. PostgreSQL only, and only where the connection was opened with `prepareStatements`.
   */
  readonly prepare?: boolean;
}

export interface Queryable {
  /**
   * One statement with positional parameters ($1, $2, ...).
   * @throws DatabaseUnavailable (retryable), InvalidParameter (a value that cannot be stored),
   * InternalError (anything else; `sqlState(error)` reads the SQLSTATE from the cause)
   */
  query<R extends Row = Row>(
    text: string,
    params?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<R>>;
  /** Any number of statements, no parameters: for migrations and settings. */
  execute(script: string): Promise<void>;
}

export interface TransactionOptions {
  /** Limit of each statement in this transaction; 0 = none (index builds). Ignored by PGlite. */
  readonly statementTimeoutMs?: number;
}

export interface Database extends Queryable {
  readonly kind: 'pglite' | 'postgres';
  /** A line for logs and `doctor`: product, version, pgvector, place; no password. */
  readonly description: string;
  /**
   * Runs `work` in one transaction. Commits when it resolves, rolls back when it rejects, and also when a
   * statement in it failed and `work` swallowed the error (PostgreSQL would have discarded the rest).
   * Inside `work` use `tx` only: the database itself refuses, because it would wait for ever.
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Hears what anybody says by NOTIFY on the channel, from its transaction's commit on, until stopped or
   * until the database is closed. PostgreSQL: by a connection of its own beside the pool's, made again for
   * ever when it is lost. `onMessage(null)` says that listening began, or began again: what was said before
   * is not heard, so look for yourself. It must not throw.
   *
   * A hint, never the truth: a standby and a pooler in transaction mode pass nothing on.
   */
  listen(channel: string, onMessage: (payload: string | null) => void): Listening;
  /**
   * Runs statements one after the other, outside any transaction and without a limit of time for them or for
   * the locks they wait for: for what PostgreSQL refuses in transactions (CREATE INDEX CONCURRENTLY). It does
   * so on a connection that is closed afterwards: a SET holds for the statements behind it, for nobody else.
   */
  unlimited(statements: readonly string[]): Promise<void>;
  /**
   * Takes a lock for longer than a transaction may last, if it is free, or says who holds it. It is the
   * caller's until it is released, its process is gone, or that process has been frozen for 10 s.
   * PostgreSQL: on a connection of its own beside the pool's.
   * @param lock a positive int4, of those who have to keep apart
   * @param holder what others are told, 63 bytes of ASCII
   */
  hold(lock: number, holder: string): Promise<Hold | HeldBy>;
  /** Waits for statements that run, then lets go of connections, files and locks. Safe twice. */
  close(): Promise<void>;
}

export interface Hold {
  /** Whether somebody else may hold the lock by now, as far as this process has heard. */
  readonly lost: boolean;
  /** Safe twice. */
  release(): Promise<void>;
}

export interface HeldBy {
  /** What the holder said of itself. */
  readonly heldBy: string;
}

export interface Listening {
  /** No message comes after this resolves. Safe twice. */
  stop(): Promise<void>;
}
