/**
 * What a driver's error means to a caller: wait and try again (DatabaseUnavailable), change the value
 * (InvalidParameter), or report a fault of ours (InternalError). The driver's error stays as `cause`.
 *
 * No SQL and no SQLSTATE goes into a detail that clients may see.
 */
import {
  DatabaseUnavailable,
  excerpt,
  InternalError,
  InvalidParameter,
  NestrecError,
} from '@nestrec/errors';

/** The SQLSTATE of a database error, searched along the causes; undefined when there is none. */
export function sqlState(error: unknown): string | undefined {
  for (let e = error, depth = 0; e instanceof Error && depth < 8; e = e.cause, depth++) {
    const code = (e as { code?: unknown }).code;
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code)) {
      return code;
    }
  }
  return undefined;
}

const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT', // a socket path that is not there
]);
const CONNECTION_MESSAGES =
  /Connection terminated|timeout expired|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|Cannot use a pool after calling end|PGlite (is closed|failed to initialize)/i;

/** Faults that time cures, by SQLSTATE (classes have two characters). */
const TRANSIENT: readonly [prefix: string, meaning: string][] = [
  ['08', 'the connection broke'],
  ['57P', 'the server is stopping or starting'],
  ['53300', 'the server has no free connection'],
  ['53', 'the server is out of disk, memory or another resource'],
  ['57014', 'the statement took longer than its limit'],
  ['55P03', 'a lock was not free in time'],
  ['40', 'the transaction collided with another'],
  ['25P0', 'the transaction stood idle for too long'],
  ['25006', 'the server is read-only'],
  ['28', 'the server refused the user name or password'],
  ['3D000', 'the server has no such database'],
];

/** Values PostgreSQL cannot store or compute with: the caller's to change. */
const BAD_VALUE = ['22', '23514'];

/** Maps an error of pg or PGlite to the catalogue; errors of the catalogue pass unchanged. */
export function mapDatabaseError(error: unknown): NestrecError {
  if (error instanceof NestrecError) return error;
  const state = sqlState(error);
  const transient = TRANSIENT.find(([prefix]) => state?.startsWith(prefix));
  if (transient) return unavailable(transient[1], error);
  if (state === undefined && isConnectionFault(error)) {
    return unavailable(error instanceof Error ? describe(error) : String(error), error);
  }
  if (state !== undefined && BAD_VALUE.some((prefix) => state.startsWith(prefix))) {
    return new InvalidParameter({
      detail:
        'got a value that the database cannot hold (a character, a number or a time out of range), wanted one it can',
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new InternalError({
    detail: `the database answered ${state ?? 'without SQLSTATE'}: ${message.slice(0, 300)}`,
    cause: error,
  });
}

function unavailable(meaning: string, cause: unknown): NestrecError {
  return new DatabaseUnavailable({
    detail: `${meaning}; the same call may succeed later`,
    retryAfterSeconds: 1,
    cause,
  });
}

function describe(error: Error): string {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? `connecting failed with ${code}` : error.message.slice(0, 100);
}

function isConnectionFault(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isConnectionFault);
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  return (
    (typeof code === 'string' && CONNECTION_CODES.has(code)) ||
    CONNECTION_MESSAGES.test(error.message)
  );
}

/** What WebAssembly's file system calls a fault (WASI numbers), in Node's names. */
const WASI_FAULTS: Readonly<Record<number, string>> = {
  2: 'EACCES: permission denied',
  22: 'EFBIG: a file would be too large',
  29: 'EIO: input or output failed',
  51: 'ENOSPC: no space left on the device',
  69: 'EROFS: the file system is read-only',
};

/** What went wrong with files, in words: PGlite throws plain objects with a number where its own do. */
export function fileFaultText(error: unknown): string {
  if (error instanceof Error) return error.message.slice(0, 200);
  const { errno } = (error ?? {}) as { errno?: unknown };
  if (typeof errno !== 'number') return excerpt(error);
  return WASI_FAULTS[errno] ?? `the file system's fault ${errno}`;
}
