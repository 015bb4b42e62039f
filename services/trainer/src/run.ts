/** The trainer as a process of its own, over PostgreSQL. */
import { mkdir } from 'node:fs/promises';
import { migrate, openPostgres, type Database } from '@nestrec/database';
import { InvalidConfig } from '@nestrec/errors';
import {
  createMetrics,
  createReadiness,
  createReadinessGate,
  removeStaleTemporaries,
  startOperationsServer,
  systemClock,
  type Logger,
} from '@nestrec/runtime';
import { trainerConfig, type TrainerConfig } from './config.js';
import { startJobProcess } from './job-process.js';
import { jobSettings } from './job-settings.js';
import { createTrainer } from './trainer.js';
import { createTrainerMetrics } from './trainer-metrics.js';
import { createTrainingWorker } from './training-worker.js';

export interface RunningTrainer {
  /** Of /healthz, /readyz and /metrics. */
  readonly url: string;
  /** When the cron comes next; null without one. */
  nextTickMs(): number | null;
  /** A run under way stops at its next safe point and is queued again. Safe twice. */
  stop(): Promise<void>;
}

const OLD_TEMPORARY_MS = 3_600_000;

/** @throws InvalidConfig, and what opening the database or the port throws */
export async function runTrainer(config: TrainerConfig, logger: Logger): Promise<RunningTrainer> {
  const db = await open(config, logger, 3);
  const ends: (() => Promise<unknown>)[] = [() => db.close()];
  const stop = async () => {
    for (const end of ends.splice(0)) await end();
  };
  try {
    const session = await open(config, logger, 1);
    ends.unshift(() => session.close());
    await migrate(db);
    const settings = jobSettings(config);
    for (const folder of [settings.modelsDir, settings.checkpointsDir]) {
      await mkdir(folder, { recursive: true });
      await removeStaleTemporaries(folder, OLD_TEMPORARY_MS);
    }
    const registry = createMetrics({ processMetrics: true });
    const metrics = createTrainerMetrics(registry);
    const worker = createTrainingWorker({
      ...{ session, settings, logger, metrics, clock: systemClock },
      startJob: startJobProcess(null),
    });
    const { retrainCron: expression, retrainMode: mode } = config;
    const cron = expression === null ? null : { expression, mode };
    const trainer = createTrainer({ db, worker, cron, logger, metrics });
    const gate = createReadinessGate();
    const server = await startOperationsServer({
      ...{ host: config.host, port: config.trainerPort, metrics: registry },
      portSetting: trainerConfig.trainerPort.env,
      readiness: createReadiness({
        checks: { database: () => canWrite(db) },
        ...{ gate, clock: systemClock, timeoutMs: 200, cacheMs: 1_000, logger },
      }),
    });
    ends.unshift(() => server.close());
    ends.unshift(() => trainer.stop());
    ends.unshift(async () => gate.close('the trainer is stopping'));
    trainer.start();
    return { url: server.url, nextTickMs: () => trainer.nextTickMs(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A standby answers queries too, but no run can be claimed on it. */
async function canWrite(db: Database): Promise<void> {
  const { rows } = await db.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
  if (rows[0]!.standby) throw new Error('the database is a standby and cannot be written');
}

async function open(config: TrainerConfig, logger: Logger, max: number): Promise<Database> {
  if (config.databaseUrl === null) {
    throw new InvalidConfig({
      fields: [{ path: 'DATABASE_URL', got: 'nothing', want: 'the address of PostgreSQL' }],
      detail:
        'DATABASE_URL is not set. The embedded database belongs to one process: `nestrec serve` trains by itself.',
    });
  }
  return openPostgres({
    url: config.databaseUrl,
    applicationName: 'nestrec-trainer',
    ...{ max, logger, allowUnsafeDurability: config.allowUnsafeDurability },
  });
}
