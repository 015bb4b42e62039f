/**
 * Ingest as a process of its own, over PostgreSQL and the log that the settings choose. Any number of them
 * share the partitions of a Kafka topic; of the log in the database one at a time makes progress.
 */
import { migrate, openPostgres, type Database } from '@nestrec/database';
import { InvalidConfig } from '@nestrec/errors';
import { openEventLog } from '@nestrec/event-log';
import {
  createMetrics,
  createReadiness,
  createReadinessGate,
  createUserHash,
  startOperationsServer,
  systemClock,
  type Logger,
} from '@nestrec/runtime';
import { ingestConfig, type IngestConfig } from './config.js';
import { createIngest } from './ingest.js';

export interface RunningIngest {
  /** Of /healthz, /readyz and /metrics. */
  readonly url: string;
  /** Stops at a batch border, then lets go of log and database. Safe twice. */
  stop(): Promise<void>;
}

/** Connections beside those of the partitions: positions, lag, probes, dead letters. */
const SPARE_CONNECTIONS = 5;

/** @throws InvalidConfig, EventLogUnsuitable, and what opening the database or the port throws */
export async function runIngest(config: IngestConfig, logger: Logger): Promise<RunningIngest> {
  const db = await openDatabase(config, logger);
  const ends: (() => Promise<void>)[] = [() => db.close()];
  const stop = async () => {
    for (const end of ends.splice(0)) await end();
  };
  try {
    await migrate(db);
    const { concurrency, batchRecords: maxRecords, verifyIntervalMs } = config;
    const log = openEventLog({ config, db, logger, concurrency });
    ends.unshift(() => log.close());
    const metrics = createMetrics({ processMetrics: true });
    const ingest = createIngest({
      ...{ db, log: log.events, deadLetters: log.deadLetters },
      ...{ clock: systemClock, logger, metrics },
      settings: { maxRecords, verifyIntervalMs },
      hashUser: createUserHash(config.logHashKey),
    });
    ends.unshift(() => ingest.stop());
    const gate = createReadinessGate();
    const readiness = createReadiness({
      checks: { ingest: ingest.check, database: () => canWrite(db) },
      ...{ gate, clock: systemClock, timeoutMs: 200, cacheMs: 1_000, logger },
    });
    const server = await startOperationsServer({
      ...{ host: config.host, port: config.operationsPort, readiness, metrics },
      portSetting: ingestConfig.operationsPort.env,
    });
    ends.unshift(() => server.close());
    ends.unshift(() => {
      gate.close('ingest is stopping');
      return Promise.resolve();
    });
    await ingest.start();
    return { url: server.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function openDatabase(config: IngestConfig, logger: Logger): Promise<Database> {
  if (config.databaseUrl === null) {
    throw new InvalidConfig({
      fields: [{ path: 'DATABASE_URL', got: 'nothing', want: 'the address of PostgreSQL' }],
      detail:
        'DATABASE_URL is not set. The embedded database belongs to one process: use `nestrec serve` for it.',
    });
  }
  return openPostgres({
    url: config.databaseUrl,
    applicationName: 'nestrec-ingest',
    max: config.concurrency + SPARE_CONNECTIONS,
    prepareStatements: true,
    allowUnsafeDurability: config.allowUnsafeDurability,
    logger,
  });
}

/** A standby answers queries too, but takes no events. */
async function canWrite(db: Database): Promise<void> {
  const { rows } = await db.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
  if (rows[0]!.standby) throw new Error('the database is a standby and cannot be written');
}
