/**
 * The all-in-one process: api and ingest over one database and the embedded event log. It only composes;
 * every part stands in its own service or package.
 */
import {
  createApi,
  createCatalogueStore,
  createKeyStore,
  createModelStore,
  createReadinessGate,
  createStoreChecks,
  createTierStore,
  type Publisher,
} from '@nestrec/api';
import { openEmbeddedLog } from '@nestrec/event-log';
import { createIngest } from '@nestrec/ingest';
import {
  createEmbedderSource,
  embedItemInLiveVersions,
  publishVersion,
  removeItemFromLiveVersions,
  rollback,
} from '@nestrec/publishing';
import { loadArtifact } from '@nestrec/registry';
import { createPublishedModels, createRecommender } from '@nestrec/retrieval';
import { createMetrics, systemClock } from '@nestrec/runtime';
import { ensureDefaultTiers, getVersion, listTiers, revokeApiKey } from '@nestrec/storage';
import { ModelNotFound } from '@nestrec/errors';
import { createKey } from './commands/keys.js';
import type { Platform } from './platform.js';
import { announceServer, withdrawServer } from './running-server.js';

export interface RunningServer {
  readonly url: string;
  /** Lets `/readyz` say 200. */
  open(): void;
  stop(): Promise<void>;
}

/** Starts ingest, then listens. `/readyz` stays 503 until `open()`. */
export async function startAllInOne(platform: Platform): Promise<RunningServer> {
  const { db, config, logger, folders } = platform;
  const metrics = createMetrics({ processMetrics: true });
  await ensureDefaultTiers(db);
  const log = openEmbeddedLog(db, { logger });
  const ingest = createIngest({ db, log, clock: systemClock, logger, metrics });
  const embedders = createEmbedderSource((_version, path) => loadArtifact(path));
  const models = createPublishedModels({ db, clock: systemClock, logger });
  const gate = createReadinessGate('starting');
  const api = createApi({
    keys: createKeyStore(db),
    tiers: createTierStore(db),
    models: createModelStore(db),
    catalogue: createCatalogueStore(db, {
      embed: async (item) => {
        const versions = await embedItemInLiveVersions(db, item, embedders, logger);
        ingest.forgetItem(item.item_id);
        return versions;
      },
      remove: async (itemId) => {
        await removeItemFromLiveVersions(db, itemId);
        ingest.forgetItem(itemId);
      },
    }),
    publisher: createPublisher(platform),
    recommender: createRecommender({ db, models, logger }),
    log,
    waitForEvents: ingest.waitFor,
    checks: { ...createStoreChecks(db), ingest: ingest.check },
    gate,
    clock: systemClock,
    logger,
    metrics,
  });
  await ingest.start();
  const { url } = await api.listen(config.port, config.host);
  const admin = await createKey(db, { client: 'nestrec-cli', tier: 'full', scopes: ['admin'] });
  await announceServer(folders.root, { url, adminKey: admin.key });
  return {
    url,
    open: () => gate.open(),
    stop: async () => {
      await api.stop();
      await ingest.stop();
      await log.close();
      await withdrawServer(folders.root);
      await revokeApiKey(db, admin.id);
    },
  };
}

/** Publishing and rolling back on request of an administrator. */
function createPublisher(platform: Platform): Publisher {
  const { db, logger } = platform;
  return {
    publish: async (version) => {
      const known = await getVersion(db, version);
      if (known === null) throw new ModelNotFound({ detail: 'GET /v1/models lists the versions.' });
      const tiers = await listTiers(db);
      const result = await publishVersion({
        db,
        artifact: await loadArtifact(known.path),
        path: known.path,
        tierDims: tiers.map((tier) => tier.max_dim),
        logger,
      });
      return { published: result.version, previous: result.previousVersion };
    },
    rollback: async (from) => {
      const { version, rolledBack } = await rollback(db, { from });
      return { published: version, previous: rolledBack };
    },
  };
}
