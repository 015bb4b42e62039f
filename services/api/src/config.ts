/** Settings of the API as a process of its own (`main.ts`). */
import {
  booleanSetting,
  choiceSetting,
  durationSetting,
  integerSetting,
  LOG_LEVELS,
  textSetting,
  type Config,
} from '@nestrec/runtime';

export const apiConfig = {
  databaseUrl: textSetting({
    env: 'DATABASE_URL',
    default: null,
    secret: true,
    want: 'postgres://user:password@host:port/database',
    pattern: /^postgres(ql)?:\/\/\S+$/,
    description: 'PostgreSQL with pgvector; the API as a process of its own needs it',
  }),
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
  logLevel: choiceSetting({
    env: 'NESTREC_LOG_LEVEL',
    choices: LOG_LEVELS,
    default: 'info',
    description: 'Least severe log line that is written to standard error',
  }),
  logHashKey: textSetting({
    env: 'NESTREC_LOG_HASH_KEY',
    default: null,
    secret: true,
    description:
      'Secret of the keyed hash under which user ids are logged; unset: random, so that hashes differ after a restart',
  }),
  openOperations: booleanSetting({
    env: 'NESTREC_OPEN_OPERATIONS',
    default: false,
    description:
      'Serve /metrics, /openapi.json and /docs without a key to any address, not only to this machine',
  }),
  allowUnsafeDurability: booleanSetting({
    env: 'NESTREC_ALLOW_UNSAFE_DURABILITY',
    default: false,
    description:
      'Accept a PostgreSQL with fsync=off or synchronous_commit=off, which loses acknowledged events in a crash',
  }),
  drainDelayMs: durationSetting({
    env: 'NESTREC_DRAIN_DELAY',
    defaultMs: 0,
    minMs: 0,
    maxMs: 5_000,
    description:
      'How long /readyz says 503 before the port closes, for the load balancer to notice',
  }),
};

export type ApiConfig = Config<typeof apiConfig>;
