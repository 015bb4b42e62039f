/** Limits of the HTTP edge, with the values we promise. Tests shorten times; operators need not. */
import { DEFAULT_OVERLOAD_SETTINGS, type OverloadSettings } from './limits/overload.js';

export interface ApiSettings {
  /** How long a request may take to send its headers, and all of itself. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** How often Node looks for requests that exceed the two above. */
  readonly connectionsCheckingIntervalMs: number;
  /** How long an idle connection is kept open for the next request. */
  readonly keepAliveTimeoutMs: number;
  /** How long a client may leave a written answer unread. */
  readonly sendTimeoutMs: number;
  readonly maxConnections: number;
  readonly bodyLimitBytes: number;
  readonly eventsBodyLimitBytes: number;
  readonly itemsBodyLimitBytes: number;
  /** What a body that others may wait for must bring in each such time, as a rate; 0: no matter how slow. */
  readonly bodyMinBytesPerSecond: number;
  readonly bodyWindowMs: number;
  /** How long a found key is believed without asking the store: a revocation is late by at most this. */
  readonly keyCacheMs: number;
  /** Requests without a valid key that one address may send in a window, and how long that is. */
  readonly addressLimit: number;
  readonly addressWindowMs: number;
  /** A store of rate limits that has not answered by then is away. */
  readonly limitStoreTimeoutMs: number;
  /** Addresses or networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  readonly overload: OverloadSettings;
  /** Longest wait for `after=TOKEN`. */
  readonly afterTimeoutMs: number;
  /** Readiness checks: how long one may take, and how long its verdict is kept. */
  readonly checkTimeoutMs: number;
  readonly checkCacheMs: number;
  /** Stopping: how long `/readyz` says 503 before the port closes, and how long requests may finish. */
  readonly drainDelayMs: number;
  readonly stopTimeoutMs: number;
  /** Serve /metrics, /openapi.json and /docs to any address without a key. */
  readonly openOperations: boolean;
  /** Secret of the keyed hash under which user ids are logged; null: a new random one per process. */
  readonly logHashKey: string | null;
}

export const DEFAULT_API_SETTINGS: ApiSettings = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  connectionsCheckingIntervalMs: 1_000,
  // Node tells clients whole seconds: 30, and closes this much later, so that a request under way is not cut off.
  keepAliveTimeoutMs: 30_900,
  sendTimeoutMs: 15_000,
  maxConnections: 2_000,
  bodyLimitBytes: 100_000,
  eventsBodyLimitBytes: 1_000_000,
  itemsBodyLimitBytes: 8_000_000,
  bodyMinBytesPerSecond: 10_000,
  bodyWindowMs: 3_000,
  keyCacheMs: 1_000,
  addressLimit: 1_000,
  addressWindowMs: 10_000,
  limitStoreTimeoutMs: 500,
  trustedProxies: [],
  overload: DEFAULT_OVERLOAD_SETTINGS,
  afterTimeoutMs: 2_000,
  checkTimeoutMs: 200,
  checkCacheMs: 1_000,
  drainDelayMs: 0,
  stopTimeoutMs: 10_000,
  openOperations: false,
  logHashKey: null,
};
