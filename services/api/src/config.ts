/** Settings of the API as a process of its own (`main.ts`). */
import { databaseSettings } from '@nestrec/database';
import { kafkaSettings } from '@nestrec/event-log';
import { publishingSettings } from '@nestrec/publishing';
import {
  booleanSetting,
  durationSetting,
  integerSetting,
  logSettings,
  textSetting,
  type Config,
} from '@nestrec/runtime';
import { DEFAULT_OVERLOAD_SETTINGS } from './limits/overload.js';
import { trustedProxiesSetting } from './limits/trusted-proxies.js';
import { DEFAULT_API_SETTINGS, type ApiSettings } from './settings.js';

export const apiConfig = {
  ...databaseSettings,
  databaseUrl: {
    ...databaseSettings.databaseUrl,
    description: 'PostgreSQL with pgvector; the API as a process of its own needs it',
  },
  readDatabaseUrl: textSetting({
    env: 'NESTREC_READ_DATABASE_URL',
    default: null,
    secret: true,
    want: 'postgres://user:password@host:port/database',
    pattern: /^postgres(ql)?:\/\/\S+$/,
    description:
      'A streaming replica of the database that recommendations are read from; everything else, and these while it cannot be read, goes to DATABASE_URL',
  }),
  ...kafkaSettings,
  ...publishingSettings,
  host: textSetting({
    env: 'HOST',
    default: '127.0.0.1',
    description: 'Address that the API listens on; 0.0.0.0 for every interface',
  }),
  port: integerSetting({
    env: 'PORT',
    default: 8080,
    min: 1,
    max: 65_535,
    description: 'Port that the API listens on',
  }),
  ...logSettings,
  openOperations: booleanSetting({
    env: 'NESTREC_OPEN_OPERATIONS',
    default: false,
    description:
      'Serve /metrics, /openapi.json and /docs without a key to any address, not only to this machine',
  }),
  drainDelayMs: durationSetting({
    env: 'NESTREC_DRAIN_DELAY',
    defaultMs: 0,
    minMs: 0,
    maxMs: 5_000,
    description:
      'How long /readyz says 503 before the port closes, for the load balancer to notice',
  }),
  trustedProxies: trustedProxiesSetting('NESTREC_TRUSTED_PROXIES'),
  maxInFlight: integerSetting({
    env: 'NESTREC_MAX_IN_FLIGHT',
    default: DEFAULT_OVERLOAD_SETTINGS.maxInFlight,
    min: 1,
    max: 10_000,
    description:
      'Ranked lists in work at once from which a process counts as overloaded: it serves smaller sizes, then refuses',
    unit: 'requests',
  }),
  maxLoopDelayMs: durationSetting({
    env: 'NESTREC_MAX_LOOP_DELAY',
    defaultMs: DEFAULT_OVERLOAD_SETTINGS.maxLoopDelayMs,
    minMs: 10,
    maxMs: 10_000,
    description:
      'Mean delay of the event loop from which a process with requests waiting counts as overloaded',
  }),
  bodyMinBytesPerSecond: integerSetting({
    env: 'NESTREC_BODY_MIN_RATE',
    default: DEFAULT_API_SETTINGS.bodyMinBytesPerSecond,
    min: 0,
    max: 1_000_000,
    description:
      'What a body of more than 16 kB, or of PUT /v1/items, must bring at least, averaged over NESTREC_BODY_WINDOW; slower ones are cut with 408. 0: only the 15 s of every request',
    unit: 'bytes a second',
  }),
  bodyWindowMs: durationSetting({
    env: 'NESTREC_BODY_WINDOW',
    defaultMs: DEFAULT_API_SETTINGS.bodyWindowMs,
    minMs: 500,
    maxMs: 15_000,
    description: 'Time over which NESTREC_BODY_MIN_RATE is averaged: how long a sender may pause',
  }),
};

export type ApiConfig = Config<typeof apiConfig>;

/** The settings of limits that operators may change, as the API takes them. */
export function limitSettings(
  config: Pick<
    ApiConfig,
    'trustedProxies' | 'maxInFlight' | 'maxLoopDelayMs' | 'bodyMinBytesPerSecond' | 'bodyWindowMs'
  >,
): Pick<ApiSettings, 'trustedProxies' | 'overload' | 'bodyMinBytesPerSecond' | 'bodyWindowMs'> {
  const { trustedProxies, maxInFlight, maxLoopDelayMs, bodyMinBytesPerSecond, bodyWindowMs } =
    config;
  return {
    trustedProxies,
    bodyMinBytesPerSecond,
    bodyWindowMs,
    overload: { ...DEFAULT_OVERLOAD_SETTINGS, maxInFlight, maxLoopDelayMs },
  };
}
