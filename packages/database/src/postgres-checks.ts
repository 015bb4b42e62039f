/**
 * Whether a PostgreSQL server may be used: version, pgvector, writable, durable, enough connections. All
 * faults are reported at once, each with what was got, what is wanted and what to do.
 */
import { DatabaseUnsuitable, type NestrecError } from '@nestrec/errors';
import { sqlState } from './errors.js';
import type { Queryable } from './types.js';

const OLDEST_SERVER = 150_000;
const OLDEST_PGVECTOR = '0.8.0';
/** 0.8.2 to 0.8.6 fix a buffer overflow in parallel builds and index corruption in vacuum. */
const RECOMMENDED_PGVECTOR = '0.8.6';

export interface ServerFacts extends Record<string, unknown> {
  readonly version: string;
  readonly versionNumber: number;
  /** Installed in this database. */
  readonly pgvector: string | null;
  /** Offered by the server, not yet created. */
  readonly pgvectorAvailable: string | null;
  readonly readOnly: boolean;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly maxConnections: number;
  readonly encoding: string;
}

export interface CheckOptions {
  readonly allowUnsafeDurability: boolean;
  /** A standby is wanted: that it is read-only is no fault, and what it loses the primary has. */
  readonly replica?: boolean;
  /** What this process may open. */
  readonly maxConnections: number;
}

const FACTS = `
  SELECT current_setting('server_version') AS version,
         current_setting('server_version_num')::int AS "versionNumber",
         (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector,
         (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS "pgvectorAvailable",
         pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' AS "readOnly",
         current_setting('fsync') AS fsync,
         current_setting('synchronous_commit') AS "synchronousCommit",
         current_setting('max_connections')::int AS "maxConnections",
         current_setting('server_encoding') AS encoding`;

/** Compares dotted versions: negative when `a` is older. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (left![i] ?? 0) - (right![i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What stands against using the server (faults), and what should be known (warnings). */
export function judgeServer(
  facts: ServerFacts,
  options: CheckOptions,
): { faults: string[]; warnings: string[] } {
  const faults: string[] = [];
  const warnings: string[] = [];
  if (facts.versionNumber < OLDEST_SERVER) {
    faults.push(`server version: got ${facts.version}, wanted 15 or newer; upgrade PostgreSQL`);
  }
  if (facts.encoding !== 'UTF8') {
    faults.push(
      `encoding: got ${facts.encoding}, wanted UTF8; create the database with ENCODING 'UTF8'`,
    );
  }
  judgePgvector(facts, faults, warnings);
  if (facts.readOnly && options.replica !== true) {
    faults.push(
      'the server is read-only (a standby?), wanted the primary; point DATABASE_URL at it',
    );
  }
  if (facts.maxConnections < options.maxConnections + 5) {
    faults.push(
      `max_connections: got ${facts.maxConnections}, wanted at least ${options.maxConnections + 5} for a pool of ${options.maxConnections}; raise it or make the pool smaller`,
    );
  }
  judgeDurability(facts, options, faults, warnings);
  return { faults, warnings };
}

function judgePgvector(facts: ServerFacts, faults: string[], warnings: string[]): void {
  const version = facts.pgvector ?? facts.pgvectorAvailable;
  if (version === null) {
    faults.push(
      'pgvector: not installed on the server, wanted 0.8.0 or newer; install it (package postgresql-NN-pgvector, or the image pgvector/pgvector)',
    );
  } else if (compareVersions(version, OLDEST_PGVECTOR) < 0) {
    faults.push(
      `pgvector: got ${version}, wanted ${OLDEST_PGVECTOR} or newer; install it, then ALTER EXTENSION vector UPDATE`,
    );
  } else if (compareVersions(version, RECOMMENDED_PGVECTOR) < 0) {
    warnings.push(
      `pgvector ${version} works; ${RECOMMENDED_PGVECTOR} or newer fixes index corruption in vacuum and an overflow in parallel index builds`,
    );
  }
}

function judgeDurability(
  facts: ServerFacts,
  options: CheckOptions,
  faults: string[],
  warnings: string[],
): void {
  if (options.replica === true) return;
  const unsafe = [
    ...(facts.fsync === 'on' ? [] : [`fsync: got ${facts.fsync}, wanted on`]),
    ...(facts.synchronousCommit === 'off' ? ['synchronous_commit: got off, wanted on'] : []),
  ];
  for (const fault of unsafe) {
    if (options.allowUnsafeDurability)
      warnings.push(`${fault}: acknowledged data may be lost in a crash`);
    else {
      faults.push(
        `${fault}: acknowledged data could be lost in a crash; correct it, or allow unsafe durability on purpose`,
      );
    }
  }
}

/**
 * Checks the server behind `db`.
 * @throws DatabaseUnsuitable with every fault; DatabaseUnavailable when it does not answer
 */
export async function checkPostgres(
  db: Queryable,
  options: CheckOptions,
): Promise<{ description: string; warnings: string[] }> {
  let facts: ServerFacts;
  try {
    facts = (await db.query<ServerFacts>(FACTS)).rows[0]!;
  } catch (error) {
    const state = sqlState(error);
    if (state?.startsWith('28'))
      throw unsuitable(['the server refused the user name or password in DATABASE_URL'], error);
    if (state === '3D000')
      throw unsuitable(['the database named in DATABASE_URL does not exist; create it'], error);
    throw error;
  }
  const { faults, warnings } = judgeServer(facts, options);
  if (faults.length > 0) throw unsuitable(faults);
  const vector = facts.pgvector ?? `${facts.pgvectorAvailable} (not yet created)`;
  return { description: `PostgreSQL ${facts.version} + pgvector ${vector}`, warnings };
}

function unsuitable(faults: string[], cause?: unknown): NestrecError {
  return new DatabaseUnsuitable({ detail: faults.join('. '), cause });
}
