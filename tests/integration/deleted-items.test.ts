/** Deleted items on both databases: no version brings them back, whichever was published when, until they are written. */
import { createCatalogueStore } from '@nestrec/api';
import {
  createEmbedderSource,
  embedItemInLiveVersions,
  prepareItems,
  publishVersion,
  removeItemFromLiveVersions,
  rollback,
  type PublishOptions,
} from '@nestrec/publishing';
import type { Database } from '@nestrec/database';
import type { Artifact } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import { itemVectorsTable, upsertItems } from '@nestrec/storage';
import { beforeEach, expect, it } from 'vitest';
import { storeEvents } from '../../services/cli/src/commands/import.js';
import { describeDatabases } from '../helpers/databases.js';
import { deferred } from '../helpers/deferred.js';
import { catalogueItem, itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import { wipeAll } from '../helpers/state-verification.js';
import { tiersOf } from '../helpers/tiers-of.js';
import { waitFor } from '../helpers/wait-for.js';

const logger = silentLogger();
const ITEM = itemIdOf(9);

/** Three versions that come after each other; the second was trained on a window without item 9. */
const artifacts = [
  makeArtifact({ version: 'v1', items: 12 }),
  makeArtifact({ version: 'v2', items: 8 }),
  makeArtifact({ version: 'v3', items: 12 }),
];
const [v1, v2, v3] = artifacts as [Artifact, Artifact, Artifact];

describeDatabases('a deleted item', (database) => {
  const load = (version: string) =>
    Promise.resolve(artifacts.find(({ manifest }) => manifest.version === version)!);
  const publish = (artifact: Artifact, extra: Partial<PublishOptions> = {}) =>
    publishVersion({
      ...{ db: database(), artifact, path: artifact.manifest.version, logger, force: true },
      ...{ tiers: tiersOf(null), recallQueries: 1, minRecall: 0, ...extra },
    });
  const embedders = createEmbedderSource(load, 4);
  /** The catalogue as the API has it. */
  const catalogue = () => {
    const db = database();
    return createCatalogueStore(db, {
      embed: (itemId) => embedItemInLiveVersions(db, itemId, embedders, logger),
      prepare: (items) => prepareItems(db, items, embedders, logger),
      remove: async (itemId) => (await removeItemFromLiveVersions(db, itemId)).length > 0,
    });
  };
  /** Whether the version shows the item; null where it has no vector of it. */
  const isShown = async (version: string, itemId = ITEM) => {
    const { rows } = await database().query<{ removed: boolean }>(
      `SELECT removed FROM ${itemVectorsTable(version)} WHERE item_id = $1`,
      [itemId],
    );
    return rows[0] === undefined ? null : !rows[0].removed;
  };
  const marks = async () => {
    const { rows } = await database().query<{ item_id: string }>(
      'SELECT item_id FROM deleted_items ORDER BY item_id',
    );
    return rows.map((row) => row.item_id);
  };
  const interactWith = (itemId: string) =>
    storeEvents(database(), [
      { eventId: `e-${itemId}`, userId: 'u', itemId, type: 'view', timestampMs: 1, value: null },
    ]);

  beforeEach(() => wipeAll(database()));

  it('is not shown by the first version, deleted before there was any', async () => {
    await catalogue().put(catalogueItem(9));
    expect(await catalogue().remove(ITEM)).toBe(true);
    expect(await catalogue().remove(ITEM)).toBe(false);
    await publish(v1);
    expect([await isShown('v1'), await isShown('v1', itemIdOf(8))]).toEqual([false, true]);
  });

  it('is not shown by the first version where only its interactions are known', async () => {
    await interactWith(ITEM);
    expect(await catalogue().remove(ITEM)).toBe(true);
    expect(await marks()).toEqual([ITEM]);
    await publish(v1);
    expect(await isShown('v1')).toBe(false);
  });

  it('is not shown by a version that learned of it again, after one that did not have it', async () => {
    await publish(v1);
    expect(await catalogue().remove(ITEM)).toBe(true);
    await publish(v2);
    expect(await isShown('v2')).toBeNull();
    await publish(v3);
    expect([await isShown('v3'), await isShown('v3', itemIdOf(10))]).toEqual([false, true]);
  });

  it('deleted while the first version is published is not shown by it', async () => {
    await catalogue().put(catalogueItem(9));
    const deletions: Promise<boolean>[] = [];
    await publish(v1, {
      onProgress: ({ phase }) => {
        if (phase === 'index') deletions.push(catalogue().remove(ITEM));
      },
    });
    expect(await Promise.all(deletions)).toEqual([true]);
    expect(await isShown('v1')).toBe(false);
  });

  it('is not shown after a rollback to a version that had not taken the deletion', async () => {
    await publish(v1);
    await publish(v2);
    await catalogue().remove(ITEM);
    await database().query(`UPDATE ${itemVectorsTable('v1')} SET removed = false`);
    await (
      await rollback(database(), { loadArtifact: load, logger })
    ).caughtUp;
    expect(await isShown('v1')).toBe(false);
  });

  it.each(['put', 'putAll'] as const)(
    'is back in all versions when it is written (%s)',
    async (way) => {
      await publish(v1);
      await catalogue().remove(ITEM);
      await publish(v2);
      if (way === 'put') await catalogue().put(catalogueItem(9));
      else await catalogue().putAll([catalogueItem(9)]);
      await publish(v3);
      for (const version of ['v1', 'v2', 'v3']) expect(await isShown(version), version).toBe(true);
      expect(await marks()).toEqual([]);
    },
  );

  it('written again while its deletion is under way is shown', async () => {
    await publish(v1);
    await catalogue().put(catalogueItem(9));
    const db = database();
    const interrupted = createCatalogueStore(db, {
      embed: () => Promise.reject(new Error('not asked for')),
      prepare: () => Promise.reject(new Error('not asked for')),
      // Out of the catalogue, and not yet out of the versions.
      remove: async (itemId) => {
        await catalogue().put(catalogueItem(9));
        return (await removeItemFromLiveVersions(db, itemId)).length > 0;
      },
    });
    expect(await interrupted.remove(ITEM)).toBe(true);
    expect(await isShown('v1')).toBe(true);
  });

  it('that a version is just being given for the first time is not shown: its deletion waits for that', async () => {
    const db = database();
    await publish(v2);
    await upsertItems(db, [catalogueItem(9)]);
    const [given, commit] = [deferred(), deferred()];
    /** Whose writes stay open until told. */
    const slow: Database = {
      ...db,
      transaction: (work) =>
        db.transaction(async (tx) => {
          const result = await work(tx);
          given.resolve();
          await commit.promise;
          return result;
        }),
    };
    const embedded = embedItemInLiveVersions(slow, ITEM, embedders, logger);
    await given.promise;
    const removed = catalogue().remove(ITEM);
    const isWaiting = async () => {
      const { rows } = await db.query(
        `SELECT 1 AS one FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND query LIKE '%DELETE FROM items%'`,
      );
      return rows.length > 0;
    };
    // On PGlite's one connection the deletion waits for its turn, and so would whoever looks whether it does.
    const waits =
      db.kind === 'pglite' ? Promise.resolve() : waitFor('the deletion to wait', isWaiting);
    await Promise.race([removed, waits]);
    commit.resolve();
    expect([await embedded, await removed]).toEqual([['v2'], true]);
    expect(await isShown('v2')).toBe(false);
    await waits.catch(() => undefined);
  });

  it('stays deleted, and one that was not stays so, where the model refuses what is written', async () => {
    await publish(v1);
    const refused = (itemId: string) =>
      catalogue()
        .put({ item_id: itemId, available: true, features: { image: [1, 2] } })
        .then(
          () => null,
          (error: { code: string }) => error.code,
        );
    await catalogue().remove(ITEM);
    expect(await refused(ITEM)).toBe('invalid_request');
    expect(await refused(itemIdOf(10))).toBe('invalid_request');
    expect(await refused('nobody knows')).toBe('invalid_request');
    expect(await marks()).toEqual([ITEM]);
    await publish(v3);
    expect([await isShown('v3'), await isShown('v3', itemIdOf(10))]).toEqual([false, true]);
  });

  it('that nobody knew leaves no mark', async () => {
    await publish(v1);
    await interactWith('somebody knows');
    expect(await catalogue().remove('nobody knows')).toBe(false);
    expect(await marks()).toEqual([]);
  });
});
