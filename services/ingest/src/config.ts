/** Settings of ingest as a process of its own (`main.ts`). */
import { databaseSettings } from '@nestrec/database';
import { kafkaSettings } from '@nestrec/event-log';
import {
  durationSetting,
  integerSetting,
  logSettings,
  textSetting,
  type Config,
} from '@nestrec/runtime';
import { DEFAULT_INGEST_SETTINGS } from './ingest.js';

/** How events are applied, also by the all-in-one process. */
export const applySettings = {
  batchRecords: integerSetting({
    env: 'NESTREC_INGEST_BATCH',
    default: DEFAULT_INGEST_SETTINGS.maxRecords,
    min: 1,
    max: 10_000,
    unit: 'records',
    description: 'Records of the log that one transaction applies at most',
  }),
  concurrency: integerSetting({
    env: 'NESTREC_INGEST_CONCURRENCY',
    default: 4,
    min: 1,
    max: 64,
    unit: 'partitions',
    description: 'Partitions that one process applies at the same time, a connection each',
  }),
  verifyIntervalMs: durationSetting({
    env: 'NESTREC_VERIFY_INTERVAL',
    defaultMs: DEFAULT_INGEST_SETTINGS.verifyIntervalMs,
    minMs: 0,
    maxMs: 86_400_000,
    description: 'How often a few random user states are compared with their events; 0ms: never',
  }),
};

export const ingestConfig = {
  ...databaseSettings,
  databaseUrl: {
    ...databaseSettings.databaseUrl,
    description: 'PostgreSQL with pgvector; ingest as a process of its own needs it',
  },
  ...kafkaSettings,
  ...applySettings,
  host: textSetting({
    env: 'HOST',
    default: '127.0.0.1',
    description: 'Address that health and metrics are served on; 0.0.0.0 for every interface',
  }),
  operationsPort: integerSetting({
    env: 'NESTREC_INGEST_PORT',
    default: 8081,
    min: 1,
    max: 65_535,
    description: 'Port of /healthz, /readyz and /metrics of ingest',
  }),
  ...logSettings,
};

export type IngestConfig = Config<typeof ingestConfig>;
