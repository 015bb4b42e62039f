/**
 * The API's stores over one database, by the repositories of `@nestrec/storage`. What embeds items in the
 * live versions is passed in: the API does not know models.
 */
import type { Item, ItemOutcome } from '@nestrec/contracts';
import type { Database, Queryable } from '@nestrec/database';
import { NoPublishedModel } from '@nestrec/errors';
import type { PreparedItems } from '@nestrec/publishing';
import type { ReadinessCheck } from '@nestrec/runtime';
import * as storage from '@nestrec/storage';
import type {
  CatalogueStore,
  ErasureStore,
  KeyStore,
  ModelStore,
  TierStore,
  TrainingRunStore,
} from './deps.js';
import { fitsReceipt } from './erasures/receipt.js';

/** How changes of the catalogue reach the item vectors of every live version. */
export interface LiveVersions {
  /** Embeds a written item; resolves to the versions in which it is recommendable now. */
  embed(itemId: string): Promise<string[]>;
  /** Judges items before they are written, and embeds those that the published model takes. */
  prepare(items: readonly Item[]): Promise<PreparedItems>;
  /** Takes a deleted item out of every live version; false where none showed it. */
  remove(itemId: string): Promise<boolean>;
}

export function createKeyStore(db: Database): KeyStore {
  return {
    find: async (presented, nowMs) => {
      const found = await storage.findApiKey(db, presented, nowMs);
      if (found.outcome === 'valid') await noteUse(db, found.key, nowMs);
      return found;
    },
    list: () => storage.listApiKeys(db),
    create: (request) => storage.createApiKey(db, request),
    revoke: (publicId) => storage.revokeApiKey(db, publicId),
    rotate: (rotation) => storage.rotateApiKey(db, rotation),
    changeClient: (client, change) => storage.changeClient(db, client, change),
  };
}

const NOTE_USE_EVERY_MS = 60_000;

/** A key that cannot be noted as used, as on a read replica, is a valid key all the same. */
async function noteUse(db: Queryable, key: storage.ApiKey, nowMs: number): Promise<void> {
  if (nowMs - (key.lastUsedAtMs ?? 0) < NOTE_USE_EVERY_MS) return;
  await storage.touchApiKey(db, key.publicId).catch(() => undefined);
}

export function createTierStore(db: Database): TierStore {
  return {
    list: () => storage.listTiers(db),
    put: (tier) => storage.upsertTier(db, tier),
    remove: (name) => storage.removeTier(db, name),
  };
}

export function createTrainingRunStore(db: Queryable): TrainingRunStore {
  return {
    request: (request, requestedBy) => storage.queueTrainingRun(db, { ...request, requestedBy }),
    find: (id) => storage.getTrainingRun(db, id),
    list: (limit) => storage.listTrainingRuns(db, limit),
    cancel: (id) => storage.cancelTrainingRun(db, id),
  };
}

export function createErasureStore(db: Queryable): ErasureStore {
  return {
    find: (topic, receipt) =>
      storage.findErasure(db, { topic, ...receipt }, (hash) => fitsReceipt(receipt, hash)),
  };
}

export function createModelStore(db: Queryable): ModelStore {
  return {
    list: () => storage.listVersions(db),
    published: async () => {
      const pointer = await storage.getPublished(db);
      return pointer && storage.getVersion(db, pointer.version);
    },
    previous: async () => (await storage.getPublished(db))?.previousVersion ?? null,
    reports: () => storage.newestPublishReports(db),
    measured: (version) => storage.newestPublishReport(db, version, 'published'),
  };
}

export function createCatalogueStore(db: Database, live: LiveVersions): CatalogueStore {
  return {
    get: (itemId) => storage.getItem(db, itemId),
    put: async (item) => {
      // Judged before it is written: what was taken back afterwards could be another's by then.
      const { refused } = await live.prepare([item]);
      const error = refused.get(item.item_id);
      if (error !== undefined) throw error;
      const created = await db.transaction((tx) => storage.upsertItems(tx, [item]));
      // After the commit: an item that is written but not yet embedded is cured by sending it again.
      const embeddedIn = await live.embed(item.item_id);
      return { created: created.has(item.item_id), embeddedIn };
    },
    putAll: async (items) => {
      const { refused, embed } = await live.prepare(items);
      const accepted = items.filter((item) => !refused.has(item.item_id));
      const created = await db.transaction((tx) => storage.upsertItems(tx, accepted));
      const embeddedIn = await embed();
      return items.map(({ item_id }): ItemOutcome => {
        const error = refused.get(item_id);
        if (error !== undefined) {
          const { code, detail, traits } = error;
          return {
            ...{ item_id, outcome: 'refused', embedded_in: [] },
            error: { code, detail: detail ?? traits.publicMessage },
          };
        }
        const outcome = created.has(item_id) ? 'created' : 'updated';
        return { item_id, outcome, embedded_in: embeddedIn.get(item_id) ?? [], error: null };
      });
    },
    remove: async (itemId) => {
      // A model may know an item from interactions alone: then there is no row, but it is recommended, or will be.
      // As long as the catalogue has the item its mark counts for nothing.
      const marked = await storage.markDeleted(db, itemId);
      // The catalogue next: whoever brings a version up to it from now on does not find the item there. If this
      // fails half-way, deleting again takes out the vectors.
      const removed = await storage.deleteItems(db, [itemId]);
      const shown = await live.remove(itemId);
      return marked || shown || removed.length > 0;
    },
  };
}

/**
 * Readiness: the database answers, and a published model is loaded (by `models`) or at least there. An older
 * one that serves in its stead is enough: with it out of service there would be none.
 */
export function createStoreChecks(
  db: Queryable,
  models: { current(): Promise<unknown>; failed?(): string | null } = {
    current: () => requirePublished(db),
  },
): Record<string, ReadinessCheck> {
  return {
    database: async () => {
      await db.query('SELECT 1 AS one');
    },
    model: async () => {
      await models.current();
      const failed = models.failed?.() ?? null;
      if (failed === null) return;
      return `an older version serves: the published ${failed} could not be loaded`;
    },
  };
}

async function requirePublished(db: Queryable): Promise<void> {
  if ((await storage.getPublished(db)) === null) throw new NoPublishedModel();
}
