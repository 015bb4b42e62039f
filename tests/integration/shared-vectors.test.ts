/**
 * A query-only version uses the vectors and indexes of the version that it was trained from (decision 0029):
 * what sharing saves, that it is refused where it would be wrong, and that nobody loses a table by it.
 */
import type { Database } from '@nestrec/database';
import { InputNotFound, PublishRefused } from '@nestrec/errors';
import {
  cleanUpVectorTables,
  createEmbedderSource,
  embedItemInLiveVersions,
  publishVersion,
  removeItemFromLiveVersions,
  rollback,
  type PublishOptions,
} from '@nestrec/publishing';
import { ITEM_PARAMETERS } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import type { Artifact } from '@nestrec/registry';
import { createPublishedModels, createRecommender } from '@nestrec/retrieval';
import { silentLogger } from '@nestrec/runtime';
import {
  deleteItems,
  getPublished,
  getUserState,
  getVersion,
  listItemVectorTables,
  removeVersion,
  upsertItems,
} from '@nestrec/storage';
import { selectBackend } from '@nestrec/tensor';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { catalogueItem, itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import { rolledBack } from '../helpers/rolled-back.js';
import { ingestOf, verify, wipeAll } from '../helpers/state-verification.js';
import { tiersOf } from '../helpers/tiers-of.js';

const logger = silentLogger();

beforeAll(() => selectBackend({ force: 'cpu' }));

/** The same item side, another query side: what a query-only training makes of `base`. */
function queryOnly(base: Artifact, version: string, startedFrom = base.manifest.version): Artifact {
  const random = createRandom(version.length + version.charCodeAt(1));
  const parameters = new Map(base.parameters);
  for (const [name, { shape, data }] of base.parameters) {
    if (ITEM_PARAMETERS.includes(name) || name.endsWith('params_log')) continue;
    parameters.set(name, { shape, data: data.map((v) => v + 0.05 * random.normal()) });
  }
  const files = [{ name: 'weights.safetensors', bytes: 1, sha256: 'ab'.repeat(31) + version }];
  const origin = { mode: 'query_only' as const, startedFrom };
  return { ...base, parameters, manifest: { ...base.manifest, version, files, origin } };
}

describeDatabases('vectors that versions share', (database) => {
  let db: Database;
  beforeAll(() => {
    db = database();
  });
  beforeEach(async () => {
    await wipeAll(db);
    await upsertItems(
      db,
      Array.from({ length: 60 }, (_, i) => catalogueItem(i)),
    );
  });

  const v1 = makeArtifact({ version: 'v1' });
  const v2 = queryOnly(v1, 'v2');
  const v3 = queryOnly(v2, 'v3');
  const all = [v1, v2, v3];
  const find = (name: string) => {
    const found = all.find(({ manifest }) => manifest.version === name);
    return found ? Promise.resolve(found) : Promise.reject(new Error(`no ${name}`));
  };
  const publish = (artifact: Artifact, more: Partial<PublishOptions> = {}) =>
    publishVersion({
      ...{ db, artifact, path: artifact.manifest.version, tiers: tiersOf(4, null), logger },
      ...{ recallQueries: 5, minRecall: 0, loadArtifact: (path) => find(path), ...more },
    });
  const embedders = createEmbedderSource((version) => find(version), 4);
  const revisionOf = async (version: string) => {
    const { rows } = await db.query<{ revision: bigint }>(
      'SELECT vectors_revision AS revision FROM model_versions WHERE version = $1',
      [version],
    );
    return rows[0]!.revision;
  };

  describe('are used as they are:', () => {
    it('a query-only version embeds and indexes nothing, and another one made from it neither', async () => {
      await publish(v1);
      const before = await listIndexes(db);
      const phases: string[] = [];
      const published = await publish(v2, { onProgress: ({ phase }) => phases.push(phase) });
      expect(published).toMatchObject({ outcome: 'published', vectorsVersion: 'v1', items: 60 });
      expect(phases).not.toContain('embed');
      expect(await publish(v3)).toMatchObject({ vectorsVersion: 'v1', previousVersion: 'v2' });
      expect(await listItemVectorTables(db)).toEqual(['v1']);
      expect(await listIndexes(db)).toEqual(before);
      for (const version of ['v1', 'v2', 'v3']) {
        expect(await getVersion(db, version)).toMatchObject({
          ...{ vectorsVersion: 'v1', indexDims: [4, 16] },
        });
      }
    });

    it('pointer and answers go back and forth between the versions', async () => {
      await publish(v1);
      await publish(v2);
      const models = createPublishedModels({
        ...{ db, logger, pollMs: 0 },
        loadArtifact: (version) => find(version),
      });
      const recommender = createRecommender({ db, logger, models });
      const answer = async () => {
        await models.refresh();
        const list = await recommender.recommendForSession({
          ...{ items: [itemIdOf(3)], k: 10, dim: 16, maxDim: null },
        });
        return { version: list.served_by.model_version, items: list.items };
      };
      const second = await answer();
      expect(await rolledBack(db)).toMatchObject({ version: 'v1', rolledBack: 'v2' });
      const first = await answer();
      expect(await rolledBack(db)).toMatchObject({ version: 'v2', rolledBack: 'v1' });
      expect(await answer()).toEqual(second);
      expect([first.version, second.version]).toEqual(['v1', 'v2']);
      expect(first.items).not.toEqual(second.items);
    });

    it('states follow the version that is published, and replaced vectors make those of both out of date', async () => {
      await publish(v1);
      const run = await ingestOf(db, all, { settings: { verifyIntervalMs: 0 } });
      await run.events({ id: 'a0', user: 'a', item: itemIdOf(3), ago: 9 });
      await publish(v2);
      await run.events({ id: 'b0', user: 'b', item: itemIdOf(3), ago: 8 });
      expect(await verify(db, v2)).toMatchObject({
        ...{ passed: true, findings: { same: 1, other_version: 1 } },
      });
      const raised = await revisionOf('v1');
      const item = { ...catalogueItem(3), title: 'violet easel' };
      await upsertItems(db, [item]);
      expect(await embedItemInLiveVersions(db, item.item_id, embedders, logger)).toEqual([
        'v2',
        'v1',
      ]);
      // Written once, although two versions show it.
      expect(await revisionOf('v1')).toBe(raised + 1n);
      expect((await getUserState(db, 'a'))!.vectorsStale).toBe(true);
      expect((await getUserState(db, 'b'))!.vectorsStale).toBe(true);
      await run.events(
        { id: 'a1', user: 'a', item: itemIdOf(4), ago: 1 },
        { id: 'b1', user: 'b', item: itemIdOf(4), ago: 1 },
      );
      expect(await verify(db, v2)).toMatchObject({ passed: true, findings: { same: 2 } });
      await deleteItems(db, [itemIdOf(3)]);
      expect(await removeItemFromLiveVersions(db, itemIdOf(3))).toEqual(['v2', 'v1']);
    });
  });

  describe('are kept', () => {
    it('as long as one version that shares them is', async () => {
      await publish(v1);
      await publish(v2);
      for (const version of ['v4', 'v5', 'v6']) {
        const base = version === 'v4' ? v2 : makeArtifact({ version, seed: version.charCodeAt(1) });
        await publish(version === 'v4' ? queryOnly(base, version) : base, { force: true });
        expect(await listItemVectorTables(db)).toContain('v1');
      }
      // v4, the last that shares it, is one of the two kept beside v6.
      expect(await rolledBack(db, { to: 'v4' })).toMatchObject({ version: 'v4', rolledBack: 'v6' });
      expect(await db.transaction((tx) => removeVersion(tx, 'v1'))).toBe(false);
      await publish(makeArtifact({ version: 'v7', seed: 7 }), { force: true });
      await publish(makeArtifact({ version: 'v8', seed: 8 }), { force: true });
      await publish(makeArtifact({ version: 'v9', seed: 9 }), { force: true });
      expect(await listItemVectorTables(db)).not.toContain('v1');
      await expect(rollback(db, { to: 'v4' })).rejects.toThrow(PublishRefused);
    });

    it('not for a candidate that was refused after it asked for them', async () => {
      await publish(v1);
      await expect(publish(v2, { minRecall: 1.01 })).rejects.toThrow(/train with --warm-start/);
      expect((await getPublished(db))!.version).toBe('v1');
      expect(await cleanUpVectorTables(db, logger)).toEqual([]);
      expect(await listItemVectorTables(db)).toEqual(['v1']);
    });
  });

  describe('are not shared', () => {
    it('by a version that says its item side is equal where it is not', async () => {
      await publish(v1);
      for (const change of [0, 1, 2]) {
        const name = ITEM_PARAMETERS[change]!;
        const { shape, data } = v2.parameters.get(name)!;
        const other = new Float32Array(data);
        // The last bit of one number.
        new Uint32Array(other.buffer)[other.length - 1]! ^= 1;
        const parameters = new Map(v2.parameters).set(name, { shape, data: other });
        await expect(publish({ ...v2, parameters })).rejects.toThrow(/its item side differs/);
      }
      const itemIds = [...v2.itemIds.slice(1), v2.itemIds[0]!];
      await expect(publish({ ...v2, itemIds })).rejects.toThrow(/its item side differs/);
      expect((await getPublished(db))!.version).toBe('v1');
    });

    it('where table or artifact of the other version is gone: then it gets its own, and its old states go', async () => {
      await publish(v1);
      await publish(v2);
      const run = await ingestOf(db, all, { settings: { verifyIntervalMs: 0 } });
      await run.events({ id: 'b0', user: 'b', item: itemIdOf(3), ago: 8 });
      for (const seed of [4, 5, 6]) {
        await publish(makeArtifact({ version: `v${seed}`, seed }), { force: true });
      }
      expect(await listItemVectorTables(db)).not.toContain('v1');
      const again = await publish(v2, { force: true });
      expect(again).toMatchObject({ vectorsVersion: 'v2', outcome: 'published', items: 60 });
      expect((await getUserState(db, 'b'))!.vectorsStale).toBe(true);
      // Once it has its own it keeps it, also when the other is back.
      await publish(v1, { force: true });
      expect(await publish(v2, { force: true })).toMatchObject({ vectorsVersion: 'v2' });
      const loadArtifact = () => Promise.reject(new InputNotFound({ detail: 'no model folder' }));
      expect(await publish(v3, { force: true, loadArtifact })).toMatchObject({
        vectorsVersion: 'v3',
      });
    });
  });
});

async function listIndexes(db: Database) {
  const { rows } = await db.query<{ name: string; oid: number }>(
    `SELECT relname AS name, oid FROM pg_class WHERE relkind = 'i' AND relname LIKE 'iv\\_%' ORDER BY 1`,
  );
  return rows;
}
