/** The API over a real database, with everything behind it: log, ingest, retrieval, publishing, artifacts on disk. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest, Scope } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { openEmbeddedLog } from '@nestrec/event-log';
import { createIngest } from '@nestrec/ingest';
import {
  createEmbedderSource,
  embedItemInLiveVersions,
  prepareItems,
  publishVersion,
  removeItemFromLiveVersions,
} from '@nestrec/publishing';
import { loadArtifact, saveArtifact, type ManifestDraft } from '@nestrec/registry';
import { createPublishedModels, createRecommender, withStepDown } from '@nestrec/retrieval';
import { createMetrics, silentLogger, systemClock, type Logger } from '@nestrec/runtime';
import { createApiKey, ensureDefaultTiers, registerVersion, upsertItems } from '@nestrec/storage';
import {
  createApi,
  createCatalogueStore,
  createErasureStore,
  createEventWaiter,
  createKeyStore,
  createModelStore,
  createPublisher,
  createStoreChecks,
  createTierStore,
  createTrainingRunStore,
  type PublisherOptions,
} from '../../../services/api/src/index.js';
import { catalogueItem, makeArtifact, type ArtifactShape } from '../published-artifact.js';
import { ALL_SCOPES } from './fakes.js';
import { call, type Reply } from './harness.js';
import { tiersOf } from '../tiers-of.js';

export interface ServedApi {
  readonly url: string;
  /** A key of all scopes and the tier full. */
  readonly key: string;
  call(method: string, path: string, body?: unknown, key?: string): Promise<Reply>;
  makeKey(tier: string, scopes?: readonly Scope[]): Promise<string>;
  stop(): Promise<void>;
}

export const SIZES = [4, 8, 16];
export const ITEMS = 60;

/** A manifest before it is saved: without what saving fills in. */
export function draftOf(manifest: Manifest): ManifestDraft {
  const filledIn = ['formatVersion', 'itemIdsSha256', 'files'];
  const rest = Object.entries(manifest).filter(([name]) => !filledIn.includes(name));
  return Object.fromEntries(rest) as unknown as ManifestDraft;
}

/** The artifacts behind `serveApi`. */
export const servedShape = (version: 'v1' | 'v2', like: Partial<ArtifactShape> = {}) => ({
  ...{ version, seed: version === 'v1' ? 1 : 2, items: ITEMS, sizes: SIZES },
  ...like,
});

/** Publishes `v1` (60 items, sizes 4, 8, 16), registers `v2` as a candidate, and serves. */
export async function serveApi(
  db: Database,
  logger: Logger = silentLogger(),
  publishing: PublisherOptions = {},
  like: { readonly v1?: Partial<ArtifactShape>; readonly v2?: Partial<ArtifactShape> } = {},
): Promise<ServedApi> {
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-api-'));
  await ensureDefaultTiers(db);
  await upsertItems(
    db,
    Array.from({ length: ITEMS }, (_, i) => catalogueItem(i)),
  );
  for (const version of ['v1', 'v2'] as const) {
    const { manifest, ...content } = makeArtifact(servedShape(version, like[version]));
    const saved = await saveArtifact(folder, { manifest: draftOf(manifest), ...content });
    await registerVersion(db, { version, manifest: saved, path: join(folder, version) });
  }
  const path = join(folder, 'v1');
  const artifact = await loadArtifact(path);
  await publishVersion({
    db,
    artifact,
    path,
    tiers: tiersOf(4, 8, null),
    logger,
    recallQueries: 5,
  });

  const metrics = createMetrics();
  const log = openEmbeddedLog(db, { logger, pollIntervalMs: 20 });
  const ingest = createIngest({ db, log, clock: systemClock, logger, metrics });
  const embedders = createEmbedderSource((_version, from) => loadArtifact(from), 4);
  const models = createPublishedModels({ db, logger, pollMs: 0 });
  const api = createApi({
    keys: createKeyStore(db),
    tiers: createTierStore(db),
    erasures: createErasureStore(db),
    models: createModelStore(db),
    catalogue: createCatalogueStore(db, {
      embed: (itemId) => embedItemInLiveVersions(db, itemId, embedders, logger),
      prepare: (items) => prepareItems(db, items, embedders, logger),
      remove: async (itemId) => (await removeItemFromLiveVersions(db, itemId)).length > 0,
    }),
    publisher: createPublisher(db, logger, publishing),
    trainingRuns: createTrainingRunStore(db),
    recommender: withStepDown(createRecommender({ db, models, logger }), models),
    log,
    waitForEvents: createEventWaiter(() => Promise.resolve(ingest.appliedUpTo())),
    checks: { ...createStoreChecks(db, models), ingest: ingest.check },
    clock: systemClock,
    logger,
    metrics,
    settings: { afterTimeoutMs: 10_000, checkTimeoutMs: 5_000 },
  });
  await ingest.start();
  const { url } = await api.listen(0);
  let clients = 0;
  const makeKey = async (tier: string, scopes: readonly Scope[] = ALL_SCOPES) =>
    (await createApiKey(db, { client: `tests ${++clients}`, tier, scopes })).key;
  const fullKey = await makeKey('full');
  return {
    url,
    key: fullKey,
    call: (method, where, body, key = fullKey) =>
      call(url, null, method, where, { key, ...(body === undefined ? {} : { body }) }),
    makeKey,
    stop: async () => {
      await api.stop();
      await ingest.stop();
      await log.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
