/**
 * Where claims are counted: by key and window, in the database that all processes share, or in this
 * process alone. Both are stores of rate-limiter-flexible; only its counters are used, since limits here
 * slide (see `client-limiter.ts`) and differ by tier.
 */
import type { Queryable } from '@nestrec/database';
import { RateLimiterMemory, RateLimiterPostgres, type RateLimiterRes } from 'rate-limiter-flexible';

/** A window of one key: `index` counts windows of `windowMs` since 1970. */
export interface Window {
  readonly key: string;
  readonly windowMs: number;
  readonly index: number;
}

export interface ClaimStore {
  /** Adds to what is claimed in the window (a negative number gives back); resolves to the new sum. */
  add(window: Window, tokens: number): Promise<number>;
  /** What is claimed in the window, which may be over; 0 where nothing is known of it. */
  read(window: Window): Promise<number>;
}

/** The library's own judgement is never asked: it would be one limit for all. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
/** A window is still read while the next one is open. */
const KEPT_WINDOWS = 2;
/** Rows of a key in turn: the window before, the present one, and one that a clock ahead may have opened. */
const SLOTS = 3;
const CLEAN_EVERY_MS = 600_000;
const EXPIRED_MS = 3_600_000;

export function createMemoryClaims(): ClaimStore {
  const limiter = new RateLimiterMemory({ points: NO_LIMIT, duration: 1, keyPrefix: '' });
  return claimsOn(limiter, ({ key, index }) => `${key}:${index}`);
}

/** Over the table `rate_limits`, three rows for each key that claims. */
export function createSharedClaims(db: Queryable): ClaimStore {
  const limiter = new RateLimiterPostgres({
    storeClient: { query: (query: LibraryQuery) => runQuery(db, query) },
    storeType: 'client',
    tableName: 'rate_limits',
    tableCreated: true,
    // Its timer would outlive the database.
    clearExpiredByTimeout: false,
    points: NO_LIMIT,
    duration: 1,
    keyPrefix: '',
  });
  const claims = claimsOn(limiter, ({ key, index }) => `${key}:${index % SLOTS}`);
  let cleanedAtMs = 0;
  return {
    add: (window, tokens) => {
      const nowMs = Date.now();
      if (nowMs - cleanedAtMs >= CLEAN_EVERY_MS) {
        cleanedAtMs = nowMs;
        // Rows that are left over take room and nothing else.
        db.query('DELETE FROM rate_limits WHERE expire < $1', [nowMs - EXPIRED_MS]).catch(
          () => undefined,
        );
      }
      return claims.add(window, tokens);
    },
    read: claims.read,
  };
}

interface Counter {
  penalty(
    key: string,
    points: number,
    options: { customDuration: number },
  ): Promise<RateLimiterRes>;
  get(key: string): Promise<RateLimiterRes | null>;
}

function claimsOn(counter: Counter, nameOf: (window: Window) => string): ClaimStore {
  return {
    add: async (window, tokens) => {
      const customDuration = (window.windowMs * KEPT_WINDOWS) / 1_000;
      return (await counter.penalty(nameOf(window), tokens, { customDuration })).consumedPoints;
    },
    read: async (window) => (await counter.get(nameOf(window)))?.consumedPoints ?? 0,
  };
}

interface LibraryQuery {
  readonly text: string;
  readonly values?: readonly (string | number | null)[];
}

/** Whole milliseconds in, and numbers instead of bigints out, as the library computes with them. */
async function runQuery(db: Queryable, { text, values = [] }: LibraryQuery) {
  const whole = values.map((value) => (typeof value === 'number' ? Math.round(value) : value));
  const { rows, rowCount } = await db.query<{ points: number; expire: bigint | null }>(text, whole);
  return {
    rows: rows.map(({ points, expire }) => ({ points, expire: Number(expire) })),
    rowCount,
  };
}
