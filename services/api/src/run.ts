/**
 * The API as a process of its own, over PostgreSQL. Composes what `createApi` needs; ingest runs elsewhere,
 * so `after` asks the database how far it has come.
 */
import {
  createReadReplica,
  migrate,
  openPostgres,
  type Database,
  type ReadReplica,
} from '@nestrec/database';
import { InvalidConfig } from '@nestrec/errors';
import { openEventLog } from '@nestrec/event-log';
import {
  createEmbedderSource,
  embedItemInLiveVersions,
  KEPT_PREVIOUS,
  prepareItems,
  removeItemFromLiveVersions,
  type ShortlistForm,
} from '@nestrec/publishing';
import { loadArtifactAside } from '@nestrec/registry';
import {
  createPublishedModels,
  createRecommender,
  createWarmUp,
  withStepDown,
} from '@nestrec/retrieval';
import { createMetrics, systemClock, type Logger, type MetricsRegistry } from '@nestrec/runtime';
import { ensureDefaultTiers, getNextOffsets, PUBLISHED_CHANNEL } from '@nestrec/storage';
import { createApi } from './api.js';
import { limitSettings, type ApiConfig } from './config.js';
import type { ApiDeps } from './deps.js';
import { createEventWaiter } from './events/wait-for-events.js';
import { createApiMetrics } from './http/api-metrics.js';
import { createMemoryClaims, createSharedClaims } from './limits/claim-store.js';
import { createPublisher } from './publisher.js';
import {
  createCatalogueStore,
  createErasureStore,
  createKeyStore,
  createModelStore,
  createStoreChecks,
  createTierStore,
  createTrainingRunStore,
} from './stores.js';

export interface RunningApi {
  readonly url: string;
  /** Stops the server, then the log and the database. Safe twice. */
  stop(): Promise<void>;
}

/** @throws InvalidConfig without DATABASE_URL, and what opening the database or the port throws */
export async function runApi(config: ApiConfig, logger: Logger): Promise<RunningApi> {
  if (config.databaseUrl === null) {
    throw new InvalidConfig({
      fields: [{ path: 'DATABASE_URL', got: 'nothing', want: 'the address of PostgreSQL' }],
      detail:
        'DATABASE_URL is not set. The embedded database belongs to one process: use `nestrec serve` for it.',
    });
  }
  const db = await openPostgres({
    url: config.databaseUrl,
    applicationName: 'nestrec-api',
    allowUnsafeDurability: config.allowUnsafeDurability,
    logger,
  });
  const close: (() => Promise<void>)[] = [() => db.close()];
  try {
    await migrate(db);
    await ensureDefaultTiers(db);
    const replica = await openReplica(config, db, logger);
    if (replica !== null) close.unshift(() => replica.close());
    const log = openEventLog({ config, db, logger });
    close.unshift(() => log.close());
    const api = createApi({
      ...composeDeps(db, logger, createMetrics({ processMetrics: true }), {
        ...{ replica, keepVersions: config.keepVersions, shortlistForm: config.shortlistForm },
      }),
      log: log.events,
      // Where lists are read from: a replica that shows the position shows the states that came with it.
      waitForEvents: createEventWaiter(() => getNextOffsets(replica ?? db, log.events.topic)),
      settings: {
        openOperations: config.openOperations,
        logHashKey: config.logHashKey,
        drainDelayMs: config.drainDelayMs,
        ...limitSettings(config),
      },
    });
    close.unshift(() => api.stop());
    const { url } = await api.listen(config.port, config.host);
    return { url, stop: () => closeAll(close) };
  } catch (error) {
    await closeAll(close);
    throw error;
  }
}

/** The replica that lists are read from; null where none is configured. */
async function openReplica(
  config: ApiConfig,
  primary: Database,
  logger: Logger,
): Promise<ReadReplica | null> {
  if (config.readDatabaseUrl === null) return null;
  const replica = await openPostgres({
    url: config.readDatabaseUrl,
    applicationName: 'nestrec-api',
    replica: true,
    logger,
  });
  return createReadReplica({
    primary,
    replica,
    onMove: (readsFrom, error) => {
      if (readsFrom === 'replica') logger.info({ readsFrom }, 'the replica is read again');
      else logger.warn({ err: error, readsFrom }, 'the replica cannot be read');
    },
  });
}

async function closeAll(steps: (() => Promise<void>)[]): Promise<void> {
  for (const step of steps.splice(0)) await step();
}

export interface ComposeOptions {
  /** What lists are read from; null: the database itself. */
  readonly replica?: ReadReplica | null;
  /** Versions besides the published one whose vectors a publish leaves. */
  readonly keepVersions?: number;
  /** What the shortlists of a publish are made by. */
  readonly shortlistForm?: ShortlistForm;
}

/**
 * Everything of the API that stands on a database alone; the all-in-one process composes the same.
 */
export function composeDeps(
  db: Database,
  logger: Logger,
  metrics: MetricsRegistry,
  { replica = null, keepVersions, shortlistForm }: ComposeOptions = {},
): Omit<ApiDeps, 'log' | 'waitForEvents' | 'settings'> {
  // One place for pointer, vectors and states of a list: the replica shows each only when all are there.
  const reads = replica ?? db;
  const { modelSwaps } = createApiMetrics(metrics);
  const models = createPublishedModels({
    ...{ db: reads, clock: systemClock, logger, warmUp: createWarmUp({ db: reads, logger }) },
    onFollowed: (result) => modelSwaps.inc({ result }),
  });
  // Also loads the first one, before a request asks for it. Ends with the database. A replica that has not
  // come that far is looked at again by the poll.
  db.listen(PUBLISHED_CHANNEL, () => models.wake());
  const embedders = createEmbedderSource(
    (_version, path) => loadArtifactAside(path),
    (keepVersions ?? KEPT_PREVIOUS) + 2,
  );
  return {
    keys: createKeyStore(db),
    tiers: createTierStore(db),
    erasures: createErasureStore(db),
    models: createModelStore(db),
    catalogue: createCatalogueStore(db, {
      embed: (itemId) => embedItemInLiveVersions(db, itemId, embedders, logger),
      prepare: (items) => prepareItems(db, items, embedders, logger),
      remove: async (itemId) => (await removeItemFromLiveVersions(db, itemId)).length > 0,
    }),
    publisher: createPublisher(db, logger, {
      keepVersions,
      shortlistForm,
      onEnded: (result) => modelSwaps.inc({ result }),
    }),
    trainingRuns: createTrainingRunStore(db),
    recommender: withStepDown(createRecommender({ db: reads, models, logger }), models),
    serving: models,
    claims: db.kind === 'postgres' ? createSharedClaims(db) : createMemoryClaims(),
    checks: {
      ...createStoreChecks(db, models),
      ...(replica === null ? {} : { reads: () => describeReads(replica) }),
    },
    clock: systemClock,
    logger,
    metrics,
  };
}

/** Never a fault: without the replica the primary is read. */
async function describeReads(replica: ReadReplica): Promise<string> {
  const { readsFrom, lagMs } = await replica.status();
  const lag = lagMs === null ? 'it does not answer' : `${lagMs} ms behind`;
  return readsFrom === 'replica'
    ? `from the replica, ${lag}`
    : `from the primary; of the replica: ${lag}`;
}
