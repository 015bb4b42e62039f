/** A rollback on both databases: what the version that is gone back to lacks, it gets. */
import { parseVector, type Database } from '@nestrec/database';
import { InputNotFound } from '@nestrec/errors';
import {
  createEmbedderSource,
  embedItemInLiveVersions,
  publishVersion,
  removeItemFromLiveVersions,
  rollback,
  type RollbackOptions,
} from '@nestrec/publishing';
import { loadArtifact, type Artifact } from '@nestrec/registry';
import { createPublishedModels, createRecommender } from '@nestrec/retrieval';
import { silentLogger } from '@nestrec/runtime';
import { deleteItems, getPublished, itemVectorsTable, upsertItems } from '@nestrec/storage';
import { beforeEach, expect, it } from 'vitest';
import { serveApi } from '../helpers/api/served-api.js';
import { describeDatabases } from '../helpers/databases.js';
import { catalogueItem, itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import { waitFor } from '../helpers/wait-for.js';
import { wipeAll } from '../helpers/state-verification.js';
import { tiersOf } from '../helpers/tiers-of.js';

const logger = silentLogger();
const [v1, v2] = [makeArtifact({ version: 'v1' }), makeArtifact({ version: 'v2', seed: 2 })];

describeDatabases('a rollback', (database) => {
  const load = (path: string) => {
    const found = [v1, v2].find(({ manifest }) => manifest.version === path);
    return found ? Promise.resolve(found) : Promise.reject(new InputNotFound({ detail: path }));
  };
  const publish = (artifact: Artifact) =>
    publishVersion({
      ...{ db: database(), artifact, path: artifact.manifest.version, logger },
      ...{ tiers: tiersOf(4, null), recallQueries: 5, minRecall: 0 },
    });
  const rollBack = (options: RollbackOptions = {}) =>
    rollback(database(), { loadArtifact: load, logger, ...options });
  /** An older version takes nothing: as where its lock was not free in time. */
  const onlyNewest = createEmbedderSource(
    (version) => (version === 'v2' ? Promise.resolve(v2) : Promise.reject(new Error('55P03'))),
    4,
  );
  const vectorOf = async (version: string, itemId: string) => {
    const { rows } = await database().query<{ embedding: string; removed: boolean }>(
      `SELECT embedding, removed FROM ${itemVectorsTable(version)} WHERE item_id = $1`,
      [itemId],
    );
    const row = rows[0];
    return row === undefined
      ? null
      : { vector: [...parseVector(row.embedding)], removed: row.removed };
  };
  const similarTo = async (db: Database, itemId: string) => {
    const models = createPublishedModels({ db, logger, loadArtifact: () => Promise.resolve(v1) });
    const recommender = createRecommender({ db, models, logger });
    return recommender.recommendForSession({
      ...{ items: [itemId], k: 5, dim: undefined, maxDim: null },
    });
  };

  beforeEach(async () => {
    await wipeAll(database());
    await upsertItems(
      database(),
      Array.from({ length: 60 }, (_, index) => catalogueItem(index)),
    );
    await publish(v1);
    await publish(v2);
  });

  it('serves what was written while only the newer version could take it, and takes out what was deleted', async () => {
    const changed = { ...catalogueItem(7), title: 'violet easel' };
    await upsertItems(database(), [catalogueItem(700), changed]);
    for (const itemId of [itemIdOf(700), itemIdOf(7)]) {
      expect(await embedItemInLiveVersions(database(), itemId, onlyNewest, logger)).toEqual(['v2']);
    }
    await deleteItems(database(), [itemIdOf(9)]);
    await removeItemFromLiveVersions(database(), itemIdOf(9));
    await database().query(
      `UPDATE ${itemVectorsTable('v1')} SET removed = false WHERE item_id = $1`,
      [itemIdOf(9)],
    );
    const stale = await vectorOf('v1', itemIdOf(7));
    expect(await vectorOf('v1', itemIdOf(700))).toBeNull();

    const result = await rollBack();
    expect(result).toMatchObject({ version: 'v1', rolledBack: 'v2' });
    expect(await result.caughtUp).toMatchObject({ embedded: 2, skipped: 0 });
    expect(await vectorOf('v1', itemIdOf(700))).toMatchObject({ removed: false });
    expect((await vectorOf('v1', itemIdOf(7)))!.vector).not.toEqual(stale!.vector);
    expect(await vectorOf('v1', itemIdOf(9))).toMatchObject({ removed: true });
    const { items } = await similarTo(database(), itemIdOf(700));
    expect(items).toHaveLength(5);
  });

  it('moves the pointer first, and reads no artifact where nothing is missing', async () => {
    let reads = 0;
    let pointedTo: string | undefined;
    const loadArtifact = async (path: string) => {
      reads++;
      pointedTo = (await getPublished(database()))?.version;
      return load(path);
    };
    await (
      await rollBack({ loadArtifact })
    ).caughtUp;
    expect(reads).toBe(0);
    await upsertItems(database(), [catalogueItem(700)]);
    await (
      await rollBack({ loadArtifact })
    ).caughtUp;
    expect(reads).toBe(1);
    expect(pointedTo).toBe('v2');
  });

  it('reads an artifact once for an item that it cannot embed, and again when that item is written anew', async () => {
    const read: string[] = [];
    const counting = (path: string) => (read.push(path), load(path));
    const wide = { ...catalogueItem(701), features: { image: [1, 2, 3, 4, 5] } };
    await upsertItems(database(), [wide]);
    const there = async () => (await rollBack({ loadArtifact: counting })).caughtUp;
    for (let round = 0; round < 3; round++) {
      expect(await there()).toEqual({ embedded: 0, skipped: 1 });
      expect(await there()).toEqual({ embedded: 0, skipped: 1 });
    }
    expect(read).toEqual(['v1', 'v2']);
    await upsertItems(database(), [catalogueItem(701)]);
    expect(await there()).toEqual({ embedded: 1, skipped: 0 });
    expect(read).toEqual(['v1', 'v2', 'v1']);
    expect(await vectorOf('v1', itemIdOf(701))).toMatchObject({ removed: false });
  });

  it('stands where what is missing cannot be embedded', async () => {
    await upsertItems(database(), [catalogueItem(700)]);
    const gone = () => Promise.reject(new InputNotFound({ detail: 'no artifact' }));
    const result = await rollBack({ loadArtifact: gone });
    expect(await result.caughtUp).toBeNull();
    expect((await getPublished(database()))?.version).toBe('v1');
  });
});

describeDatabases('a rollback over HTTP', (database) => {
  it('reads the artifact as publishes of the API do, which is not in the thread that answers', async () => {
    const read: string[] = [];
    const api = await serveApi(database(), logger, {
      loadArtifact: (path) => (read.push(path.slice(-2)), loadArtifact(path)),
    });
    try {
      expect((await api.call('POST', '/v1/models/v2/publish?force=true')).status).toBe(202);
      await waitFor('v2 to serve', async () => {
        return (await getPublished(database()))?.version === 'v2';
      });
      await upsertItems(database(), [catalogueItem(700)]);
      expect((await api.call('POST', '/v1/models/v2/rollback')).status).toBe(200);
      await waitFor('the item to be embedded', async () => {
        const { rows } = await database().query(
          `SELECT 1 AS one FROM ${itemVectorsTable('v1')} WHERE item_id = $1`,
          [itemIdOf(700)],
        );
        return rows.length > 0;
      });
      expect(read).toEqual(['v2', 'v1']);
    } finally {
      await api.stop();
    }
  });
});
