/**
 * The API as a process of its own, over PostgreSQL. Composes what `createApi` needs; ingest runs elsewhere,
 * so `after` asks the database how far it has come.
 */
import { migrate, openPostgres, type Database } from '@nestrec/database';
import { InvalidConfig } from '@nestrec/errors';
import { openEventLog } from '@nestrec/event-log';
import {
  createEmbedderSource,
  embedItemInLiveVersions,
  removeItemFromLiveVersions,
} from '@nestrec/publishing';
import { loadArtifact } from '@nestrec/registry';
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
    const log = openEventLog({ config, db, logger });
    close.unshift(() => log.close());
    const api = createApi({
      ...composeDeps(db, logger, createMetrics({ processMetrics: true })),
      log: log.events,
      waitForEvents: createEventWaiter(() => getNextOffsets(db, log.events.topic)),
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

async function closeAll(steps: (() => Promise<void>)[]): Promise<void> {
  for (const step of steps.splice(0)) await step();
}

/**
 * Everything of the API that stands on a database alone; the all-in-one process composes the same.
 */
export function composeDeps(
  db: Database,
  logger: Logger,
  metrics: MetricsRegistry,
): Omit<ApiDeps, 'log' | 'waitForEvents' | 'settings'> {
  const { modelSwaps } = createApiMetrics(metrics);
  const models = createPublishedModels({
    ...{ db, clock: systemClock, logger, warmUp: createWarmUp({ db, logger }) },
    onFollowed: (result) => modelSwaps.inc({ result }),
  });
  // Also loads the first one, before a request asks for it. Ends with the database.
  db.listen(PUBLISHED_CHANNEL, () => models.wake());
  const embedders = createEmbedderSource((_version, path) => loadArtifact(path));
  return {
    keys: createKeyStore(db),
    tiers: createTierStore(db),
    erasures: createErasureStore(db),
    models: createModelStore(db),
    catalogue: createCatalogueStore(db, {
      embed: (item) => embedItemInLiveVersions(db, item, embedders, logger),
      remove: async (itemId) => (await removeItemFromLiveVersions(db, itemId)).length > 0,
    }),
    publisher: createPublisher(db, logger, (result) => modelSwaps.inc({ result })),
    recommender: withStepDown(createRecommender({ db, models, logger }), models),
    serving: models,
    claims: db.kind === 'postgres' ? createSharedClaims(db) : createMemoryClaims(),
    checks: createStoreChecks(db, models),
    clock: systemClock,
    logger,
    metrics,
  };
}
