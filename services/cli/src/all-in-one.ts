/**
 * The all-in-one process: api and ingest over one database and one event log, and the trainer where nobody else
 * can be it. It only composes; every part stands in its own service or package.
 */
import {
  composeDeps,
  createApi,
  createEventWaiter,
  limitSettings,
  type WaitForEvents,
} from '@nestrec/api';
import { openEventLog } from '@nestrec/event-log';
import { createIngest, type Ingest } from '@nestrec/ingest';
import {
  createMetrics,
  createReadinessGate,
  createUserHash,
  systemClock,
  type MetricsRegistry,
} from '@nestrec/runtime';
import {
  ensureDefaultTiers,
  getNextOffsets,
  listApiKeys,
  listTiers,
  revokeApiKey,
} from '@nestrec/storage';
import {
  createTrainer,
  createTrainerMetrics,
  createTrainingWorker,
  jobSettings,
  startJobProcess,
  type Trainer,
} from '@nestrec/trainer';
import { createKey } from './commands/keys.js';
import type { Platform } from './platform.js';
import { announceServer, withdrawServer } from './running-server.js';

export interface RunningServer {
  readonly url: string;
  /** Lets `/readyz` say 200. */
  open(): void;
  stop(): Promise<void>;
}

/**
 * Starts ingest, then listens. `/readyz` stays 503 until `open()`. Where a step fails, those before it are
 * undone before it throws.
 * @throws InvalidConfig for an address that cannot be listened on
 */
export async function startAllInOne(platform: Platform): Promise<RunningServer> {
  const { db, config, logger } = platform;
  const metrics = createMetrics({ processMetrics: true });
  await ensureDefaultTiers(db);
  const { concurrency, batchRecords: maxRecords, verifyIntervalMs } = config;
  const log = openEventLog({ config, db, logger, concurrency });
  const ingest = createIngest({
    ...{ db, log: log.events, deadLetters: log.deadLetters },
    ...{ clock: systemClock, logger, metrics },
    settings: { maxRecords, verifyIntervalMs },
    hashUser: createUserHash(config.logHashKey),
  });
  const gate = createReadinessGate('starting');
  const deps = composeDeps(db, logger, metrics, {
    keepVersions: config.keepVersions,
    shortlistForm: config.shortlistForm,
  });
  const api = createApi({
    ...deps,
    log: log.events,
    waitForEvents: waiterOf(platform, ingest, log.events.topic),
    checks: { ...deps.checks, ingest: ingest.check },
    gate,
    settings: {
      openOperations: config.openOperations,
      logHashKey: config.logHashKey,
      drainDelayMs: config.drainDelayMs,
      ...limitSettings(config),
    },
  });
  const ends = [() => api.stop(), () => ingest.stop(), () => log.close()];
  const trainer = db.kind === 'pglite' ? embeddedTrainer(platform, metrics) : null;
  if (trainer !== null) ends.unshift(() => trainer.stop());
  const stop = async () => {
    for (const end of ends.splice(0)) await end();
  };
  try {
    await ingest.start();
    trainer?.start();
    const { url } = await api.listen(config.port, config.host);
    if (db.kind === 'pglite') ends.push(await announce(platform, url));
    return { url, open: () => gate.open(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * The embedded database belongs to this process, so nobody else can train on it: a process of its own trains and
 * reaches the data through this one. With PostgreSQL the trainer is a service of its own.
 */
function embeddedTrainer({ db, config, logger }: Platform, registry: MetricsRegistry): Trainer {
  const metrics = createTrainerMetrics(registry);
  const worker = createTrainingWorker({
    ...{ session: db, logger, metrics, clock: systemClock, settings: jobSettings(config) },
    startJob: startJobProcess(db),
  });
  const { retrainCron: expression, retrainMode: mode } = config;
  const cron = expression === null ? null : { expression, mode };
  return createTrainer({ db, worker, cron, logger, metrics });
}

/** With Kafka other processes may apply what this one was asked to wait for. */
function waiterOf({ db, config }: Platform, ingest: Ingest, topic: string): WaitForEvents {
  if (config.kafkaBrokers === null) return ingest.waitFor;
  return createEventWaiter(() => getNextOffsets(db, topic));
}

const COMMAND_LINE_CLIENT = 'nestrec-cli';

/**
 * Tells commands on this machine how to reach the server that holds the embedded database; returns what
 * takes it back. The key of a server that was killed ends here: nobody else can hold the folder now.
 */
async function announce({ db, folders }: Platform, url: string): Promise<() => Promise<void>> {
  for (const key of await listApiKeys(db)) {
    const left = key.client === COMMAND_LINE_CLIENT && key.revokedAtMs === null;
    if (left) await revokeApiKey(db, key.publicId);
  }
  const admin = await createKey(db, {
    client: COMMAND_LINE_CLIENT,
    // An operator may have removed the tier full.
    tier: (await listTiers(db)).at(-1)!.name,
    scopes: ['admin'],
  });
  await announceServer(folders.root, { url, adminKey: admin.key });
  return async () => {
    await withdrawServer(folders.root);
    await revokeApiKey(db, admin.id);
  };
}
