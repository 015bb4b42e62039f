/** Publishing on both databases: what a version's vectors are, and that what is served is never broken. */
import type { Item } from '@nestrec/contracts';
import { parseVector, type Database } from '@nestrec/database';
import { createFeaturizer } from '@nestrec/features';
import {
  createEmbedderSource,
  embedItemInLiveVersions,
  prepareItems,
  publishVersion,
  removeItemFromLiveVersions,
  rollback,
  type EmbedderSource,
  type PublishOptions,
} from '@nestrec/publishing';
import type { Artifact } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import {
  deleteItems,
  getPublished,
  getStoredItems,
  getVersion,
  itemVectorsTable,
  listItemVectorTables,
  listVersions,
  swapPublished,
  upsertItems,
} from '@nestrec/storage';
import { beforeEach, describe, expect, it } from 'vitest';
import { upsertVectors } from '../../packages/publishing/src/vector-table.js';
import { describeDatabases } from '../helpers/databases.js';
import { mortalDatabase } from '../helpers/mortal-database.js';
import { catalogueItem, itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import { rolledBack } from '../helpers/rolled-back.js';
import { tiersOf } from '../helpers/tiers-of.js';

const logger = silentLogger();

async function wipe(db: Database): Promise<void> {
  await db.execute(
    'TRUNCATE interactions, items, deleted_items, published_model, model_versions CASCADE',
  );
  for (const version of await listItemVectorTables(db)) {
    await db.execute(`DROP TABLE ${itemVectorsTable(version)}`);
  }
}

describeDatabases('publishing', (database) => {
  const publish = (artifact: Artifact, extra: Partial<PublishOptions> = {}) =>
    publishVersion({
      ...{ db: database(), artifact, path: 'unused', tiers: tiersOf(4, null), logger },
      ...{ recallQueries: 10, ...extra },
    });
  const refusal = (artifact: Artifact, extra: Partial<PublishOptions> = {}) =>
    publish(artifact, extra).then(
      () => 'published',
      (error: { code: string; detail: string }) => `${error.code}: ${error.detail}`,
    );
  const vectorsOf = async (version: string) => {
    const { rows } = await database().query<{
      item_id: string;
      embedding: string;
      trained: boolean;
      removed: boolean;
    }>(`SELECT item_id, embedding, trained, removed FROM ${itemVectorsTable(version)}`);
    return new Map(
      rows.map((row) => [row.item_id, { ...row, vector: parseVector(row.embedding) }]),
    );
  };
  /** What is served, and whether its vectors are all there. */
  const served = async () => {
    const pointer = await getPublished(database());
    if (pointer === null) return null;
    const status = (await getVersion(database(), pointer.version))?.status;
    const rows = (await vectorsOf(pointer.version)).size;
    return { version: pointer.version, previous: pointer.previousVersion, status, rows };
  };
  const writtenAt = async (itemId: string) =>
    (await getStoredItems(database(), [itemId])).get(itemId)!.writtenAt;
  const embeddersOf = (...artifacts: Artifact[]) =>
    createEmbedderSource((version) => {
      const found = artifacts.find((artifact) => artifact.manifest.version === version);
      return found ? Promise.resolve(found) : Promise.reject(new Error(`no ${version}`));
    }, 4);

  beforeEach(() => wipe(database()));

  describe('a published version', () => {
    it('holds every item of the model, an index per tier dimension, and the pointer', async () => {
      const artifact = makeArtifact({ version: 'v1' });
      const phases: string[] = [];
      const result = await publish(artifact, { onProgress: ({ phase }) => phases.push(phase) });
      expect(result).toMatchObject({
        ...{ version: 'v1', outcome: 'published', previousVersion: null },
        ...{ items: 60, newItems: 0, dropped: [] },
        dims: [
          { dim: 4, recall: 1 },
          { dim: 16, recall: 1 },
        ],
      });
      expect(result.dims.every(({ bytes }) => bytes > 0)).toBe(true);
      expect(new Set(phases)).toEqual(new Set(['embed', 'index', 'swap']));
      expect(await served()).toEqual({
        ...{ version: 'v1', previous: null, status: 'published', rows: 60 },
      });
      expect((await getVersion(database(), 'v1'))?.indexDims).toEqual([4, 16]);
      const { rows } = await database().query<{ indexdef: string }>(
        `SELECT indexdef FROM pg_indexes WHERE tablename = 'item_vectors_v1' ORDER BY indexname`,
      );
      const indexes = rows.map((row) => row.indexdef).filter((text) => text.includes('hnsw'));
      expect(indexes).toHaveLength(2);
      expect(indexes.some((text) => text.includes('subvector(embedding, 1, 4)'))).toBe(true);
    });

    it('gives each item P f + p + R, in float64 by hand', async () => {
      const artifact = makeArtifact({ version: 'v1', items: 7 });
      await publish(artifact);
      const vectors = await vectorsOf('v1');
      const { config } = artifact.manifest;
      const of = (name: string) => artifact.parameters.get(name)!.data;
      for (let row = 0; row < 7; row++) {
        const { vector } = vectors.get(itemIdOf(row))!;
        for (let d = 0; d < 16; d++) {
          let wanted =
            of('embedding.projector.bias')[d]! + of('embedding.item_residual')[row * 16 + d]!;
          for (let f = 0; f < config.featureWidth; f++) {
            wanted +=
              of('embedding.projector.weight')[d * config.featureWidth + f]! *
              artifact.features[row * config.featureWidth + f]!;
          }
          expect(vector[d]).toBeCloseTo(wanted, 5);
        }
      }
    });

    it('holds items of the catalogue that the model was not trained on, without residual', async () => {
      const artifact = makeArtifact({ version: 'v1', items: 10 });
      await upsertItems(database(), [catalogueItem(3), catalogueItem(500)]);
      const result = await publish(artifact);
      expect(result).toMatchObject({ items: 11, newItems: 1 });
      const fresh = (await vectorsOf('v1')).get(itemIdOf(500))!;
      expect(fresh.trained).toBe(false);
      const feature = createFeaturizer(artifact.manifest.features, artifact.encoder).encode(
        catalogueItem(500),
      );
      const weight = artifact.parameters.get('embedding.projector.weight')!.data;
      const bias = artifact.parameters.get('embedding.projector.bias')!.data;
      const wanted = feature.reduce((sum, value, f) => sum + value * weight[f]!, bias[0]!);
      expect(fresh.vector[0]).toBeCloseTo(wanted, 5);
    });

    it('follows what the catalogue says of an item now, and keeps what it does not say', async () => {
      const artifact = makeArtifact({ version: 'v1', items: 10 });
      const before = makeArtifact({ version: 'v0', items: 10 });
      await publish(before);
      const untouched = await vectorsOf('v0');
      await upsertItems(database(), [
        // Item 1 has another title; item 2 comes without title and image: as it was.
        { ...catalogueItem(1), title: 'violet easel' },
        { item_id: itemIdOf(2), available: true },
      ]);
      await publish(artifact, { force: true });
      const vectors = await vectorsOf('v1');
      expect(vectors.get(itemIdOf(1))!.vector).not.toEqual(untouched.get(itemIdOf(1))!.vector);
      expect(vectors.get(itemIdOf(2))!.vector).toEqual(untouched.get(itemIdOf(2))!.vector);
      expect([...vectors.values()].every(({ trained }) => trained)).toBe(true);
    });

    it('leaves out, with a warning, an item whose vectors fit another model, and goes on', async () => {
      await upsertItems(database(), [
        { item_id: 'odd', available: true, features: { image: [1, 2, 3, 4, 5] } },
        catalogueItem(500),
      ]);
      const result = await publish(makeArtifact({ version: 'v1' }));
      expect(result.newItems).toBe(1);
      expect((await vectorsOf('v1')).has('odd')).toBe(false);
    });
  });

  describe('the next version', () => {
    it('replaces the pointer, keeps two to go back to and drops older ones', async () => {
      for (const version of ['v1', 'v2', 'v3', 'v4']) await publish(makeArtifact({ version }));
      expect(await served()).toMatchObject({ version: 'v4', previous: 'v3' });
      expect(await listItemVectorTables(database())).toEqual(['v2', 'v3', 'v4']);
      const statuses = (await listVersions(database())).map((v) => `${v.version} ${v.status}`);
      expect(statuses.sort()).toEqual(['v1 retired', 'v2 retired', 'v3 retired', 'v4 published']);
      expect((await getVersion(database(), 'v1'))?.indexDims).toEqual([]);
    });

    it('cannot be published twice: the second time changes nothing', async () => {
      const artifact = makeArtifact({ version: 'v1' });
      await publish(artifact);
      const before = await vectorsOf('v1');
      await publish(makeArtifact({ version: 'v2' }));
      expect(await publish(makeArtifact({ version: 'v2' }))).toMatchObject({
        ...{ outcome: 'already_published', previousVersion: 'v1', items: 60 },
      });
      expect(await served()).toMatchObject({ version: 'v2', previous: 'v1' });
      expect(await vectorsOf('v1')).toEqual(before);
    });

    it('keeps as many versions behind it as it is told, and always the one before', async () => {
      const keeping = (version: string, keepPrevious: number) =>
        publish(makeArtifact({ version }), { keepPrevious, minRecall: 0, force: true });
      for (const version of ['v1', 'v2', 'v3', 'v4']) await keeping(version, 3);
      expect((await listItemVectorTables(database())).sort()).toEqual(['v1', 'v2', 'v3', 'v4']);
      expect([...(await keeping('v5', 1)).dropped].sort()).toEqual(['v1', 'v2', 'v3']);
      expect((await listItemVectorTables(database())).sort()).toEqual(['v4', 'v5']);
    });

    it('gets an index for a tier dimension that was added later', async () => {
      const artifact = makeArtifact({ version: 'v1' });
      await publish(artifact);
      const result = await publish(artifact, { tiers: tiersOf(4, 8, null) });
      expect(result.dims.map(({ dim }) => dim)).toEqual([4, 8, 16]);
      expect((await getVersion(database(), 'v1'))?.indexDims).toEqual([4, 8, 16]);
    });

    it('is refused under the name of a version with other files', async () => {
      await publish(makeArtifact({ version: 'v1', seed: 1 }));
      expect(await refusal(makeArtifact({ version: 'v1', seed: 2 }))).toMatch(
        /^publish_refused: version v1 was published with other files/,
      );
    });

    it('is refused where it is older than the served one, unless forced', async () => {
      await publish(makeArtifact({ version: 'v2', createdAt: '2026-02-01T00:00:00Z' }));
      const older = makeArtifact({ version: 'v1', createdAt: '2026-01-01T00:00:00Z' });
      expect(await refusal(older)).toMatch(/^publish_refused: version v1 was made at/);
      expect(await served()).toMatchObject({ version: 'v2' });
      await publish(older, { force: true });
      expect(await served()).toMatchObject({ version: 'v1', previous: 'v2' });
    });

    it('is refused where it is clearly worse than the served one, unless forced', async () => {
      await publish(makeArtifact({ version: 'v1', ndcg: 0.05 }));
      await publish(makeArtifact({ version: 'v2', ndcg: 0.046 }));
      const worse = makeArtifact({ version: 'v3', ndcg: 0.04 });
      expect(await refusal(worse)).toMatch(/ndcg@10 on validation cases .* is 0\.0400/);
      expect(await served()).toMatchObject({ version: 'v2' });
      expect(await listItemVectorTables(database())).toEqual(['v1', 'v2']);
      await publish(worse, { force: true });
      expect(await served()).toMatchObject({ version: 'v3' });
    });
  });

  describe('a bad candidate', () => {
    const withParameter = (name: string, change: (data: Float32Array) => void): Artifact => {
      const artifact = makeArtifact({ version: 'bad', seed: 9 });
      const array = artifact.parameters.get(name)!;
      const data = array.data.slice();
      change(data);
      const parameters = new Map(artifact.parameters).set(name, { shape: array.shape, data });
      return { ...artifact, parameters };
    };

    it.each<[string, () => Artifact, Partial<PublishOptions>, RegExp]>([
      [
        'numbers that are not finite',
        () => withParameter('embedding.item_residual', (data) => data.fill(Number.NaN, 16, 17)),
        {},
        /item i0001 has NaN at coordinate 0/,
      ],
      [
        'vectors without direction',
        () => {
          const zero = withParameter('embedding.item_residual', (data) => data.fill(0));
          const parameters = new Map(zero.parameters);
          for (const name of ['embedding.projector.weight', 'embedding.projector.bias']) {
            const { shape, data } = parameters.get(name)!;
            parameters.set(name, { shape, data: new Float32Array(data.length) });
          }
          return { ...zero, parameters };
        },
        {},
        /item i\d{4} is zero in its first 4 coordinates/,
      ],
      [
        'an index that finds too little',
        () => makeArtifact({ version: 'bad', seed: 9 }),
        { minRecall: 1.01 },
        /the index of bad at 4 dimensions .*finds 1\.000 of the exact top 20, wanted 1\.01/,
      ],
    ])('with %s is refused, and leaves nothing behind', async (_, candidate, extra, reason) => {
      await publish(makeArtifact({ version: 'v1' }));
      expect(await refusal(candidate(), extra)).toMatch(reason);
      expect(await served()).toMatchObject({ version: 'v1', status: 'published', rows: 60 });
      expect(await listItemVectorTables(database())).toEqual(['v1']);
    });
  });

  describe('a publish that is killed', () => {
    it('after any step serves the old version or the new one, whole, and the next run finishes', async () => {
      const make = (n: number) => makeArtifact({ version: `k${n}`, items: 12, seed: n + 1 });
      await publish(make(0), { recallQueries: 1 });
      let n = 1;
      let outcomes = '';
      for (let diesAfter = 1; ; diesAfter++) {
        const db = mortalDatabase(database(), diesAfter);
        const version = `k${n}`;
        const killed = await publish(make(n), { db, recallQueries: 1 }).catch(() => null);
        if (killed !== null && !db.dead) {
          expect(diesAfter).toBeGreaterThan(40);
          break;
        }
        const now = await served();
        expect([`k${n - 1}`, version]).toContain(now?.version);
        expect(now).toMatchObject({ status: 'published', rows: 12 });
        outcomes += now?.version === version ? 'n' : 'o';

        await publish(make(n), { recallQueries: 1 });
        expect(await served()).toMatchObject({ version, previous: `k${n - 1}`, rows: 12 });
        const kept = [`k${n}`, `k${n - 1}`, `k${n - 2}`].filter((v) => v !== 'k-1');
        expect(new Set(await listItemVectorTables(database()))).toEqual(new Set(kept));
        n++;
      }
      // Old until the one moment, new ever after.
      expect(outcomes).toMatch(/^o{20,}n+$/);
    }, 240_000);
  });

  describe('two publishers at once', () => {
    it('never mix: what one does not publish it says, and the pointer stands on whole vectors', async () => {
      await publish(makeArtifact({ version: 'v1' }));
      for (let round = 0; round < 5; round++) {
        const versions = [`a${round}`, `b${round}`];
        const results = await Promise.allSettled(
          versions.map((version) => publish(makeArtifact({ version }))),
        );
        const winners = versions.filter((_, index) => results[index]!.status === 'fulfilled');
        for (const result of results) {
          if (result.status === 'rejected') {
            expect(result.reason).toMatchObject({ code: 'publish_conflict' });
          }
        }
        expect(winners.length).toBeGreaterThan(0);
        const now = await served();
        expect(winners).toContain(now?.version);
        expect(now).toMatchObject({ status: 'published', rows: 60 });
      }
    });

    /** The database of a publisher that is frozen before its swap while `others` happens. */
    const frozenAtSwap = (others: () => Promise<unknown>) => {
      const db = database();
      let happened: Promise<unknown> | undefined;
      const frozen: Database = {
        ...db,
        // It stood still for so long that the database gave its claim away, which it has not heard yet.
        hold: () => Promise.resolve({ lost: false, release: () => Promise.resolve() }),
        transaction: async (work, options) => {
          await happened;
          return db.transaction(work, options);
        },
      };
      const onProgress: PublishOptions['onProgress'] = ({ phase }) => {
        if (phase === 'swap') happened ??= others();
      };
      return { db: frozen, onProgress };
    };

    it('a publisher that was frozen before its swap does not overwrite the newer version', async () => {
      await publish(makeArtifact({ version: 'v1' }));
      const frozen = frozenAtSwap(() => publish(makeArtifact({ version: 'v3' })));
      const message = await refusal(makeArtifact({ version: 'v2' }), frozen);
      expect(message).toMatch(/^publish_conflict: .*(is published by now|were dropped)/);
      expect(await served()).toMatchObject({ version: 'v3', previous: 'v1', rows: 60 });
    });

    it('a publisher that was frozen while someone rolled back does not undo that', async () => {
      await publish(makeArtifact({ version: 'v1' }));
      await publish(makeArtifact({ version: 'v2' }));
      const frozen = frozenAtSwap(() => rollback(database()));
      const message = await refusal(makeArtifact({ version: 'v3' }), frozen);
      expect(message).toMatch(
        /^publish_conflict: wanted to replace v2, but v1 is published by now/,
      );
      expect(await served()).toMatchObject({ version: 'v1', previous: 'v2', rows: 60 });
    });

    it('a publisher does not point to vectors that another one began anew under its hands', async () => {
      await publish(makeArtifact({ version: 'v1' }));
      const table = itemVectorsTable('v2');
      const frozen = frozenAtSwap(() =>
        database().execute(
          `CREATE TABLE other (LIKE ${table} INCLUDING ALL); DROP TABLE ${table};
           ALTER TABLE other RENAME TO item_vectors_v2`,
        ),
      );
      const message = await refusal(makeArtifact({ version: 'v2' }), frozen);
      expect(message).toMatch(/^publish_conflict: the vectors of v2 were dropped or made anew/);
      expect(await served()).toMatchObject({ version: 'v1', rows: 60 });
      expect((await vectorsOf('v2')).size).toBe(0);
    });
  });

  describe('rollback', () => {
    it('goes back to the version before, and forth again', async () => {
      await publish(makeArtifact({ version: 'v1' }));
      await publish(makeArtifact({ version: 'v2' }));
      expect(await rolledBack(database())).toMatchObject({ version: 'v1', rolledBack: 'v2' });
      expect(await served()).toMatchObject({ version: 'v1', previous: 'v2', status: 'published' });
      expect(await rolledBack(database(), { from: 'v1' })).toMatchObject({ version: 'v2' });
    });

    it('says what can be gone back to, where it cannot do what was asked', async () => {
      const message = (promise: Promise<unknown>) =>
        promise.then(
          () => 'done',
          (error: { code: string; detail: string }) => `${error.code}: ${error.detail}`,
        );
      const db = database();
      expect(await message(rollback(db))).toMatch(/^no_published_model: .*publish a model first/);
      await publish(makeArtifact({ version: 'v1' }));
      expect(await message(rollback(db))).toMatch(/v1 is the first version .*no other version/);
      await publish(makeArtifact({ version: 'v2' }));
      expect(await message(rollback(db, { from: 'v1' }))).toMatch(
        /but v2 is published; kept are v1/,
      );
      expect(await message(rollback(db, { to: 'v2' }))).toMatch(/published version already/);
      expect(await message(rollback(db, { to: 'v9' }))).toMatch(/^model_not_found: .*kept are v1/);
      await db.execute(`UPDATE model_versions SET status = 'candidate' WHERE version = 'v1'`);
      expect(await message(rollback(db, { to: 'v1' }))).toMatch(/v1 was never served/);
      await db.execute(`UPDATE model_versions SET status = 'retired' WHERE version = 'v1'`);
      await db.execute(`COMMENT ON TABLE ${itemVectorsTable('v1')} IS NULL`);
      expect(await message(rollback(db))).toMatch(/v1 has no finished vectors here/);
      expect(await served()).toMatchObject({ version: 'v2' });
    });
  });

  describe('single items', () => {
    it('are embedded in every live version at once, and taken out of them', async () => {
      const [v1, v2] = [makeArtifact({ version: 'v1' }), makeArtifact({ version: 'v2', seed: 2 })];
      await publish(v1);
      await publish(v2);
      const item = catalogueItem(700);
      await upsertItems(database(), [item]);
      const embedders = embeddersOf(v1, v2);
      const embedded = await embedItemInLiveVersions(database(), item.item_id, embedders, logger);
      expect(embedded).toEqual(['v2', 'v1']);
      expect((await vectorsOf('v1')).get(item.item_id)).toMatchObject({ trained: false });
      // Not as long as the catalogue has it.
      expect(await removeItemFromLiveVersions(database(), item.item_id)).toEqual([]);
      await deleteItems(database(), [item.item_id]);
      expect(await removeItemFromLiveVersions(database(), item.item_id)).toEqual(['v2', 'v1']);
      expect((await vectorsOf('v2')).get(item.item_id)).toMatchObject({ removed: true });
      expect(await removeItemFromLiveVersions(database(), 'never-there')).toEqual([]);
    });

    it('that were deleted stay out of the next version, and come back when they are written again', async () => {
      const v1 = makeArtifact({ version: 'v1' });
      await publish(v1);
      await removeItemFromLiveVersions(database(), itemIdOf(4));
      const v2 = makeArtifact({ version: 'v2' });
      await publish(v2);
      expect((await vectorsOf('v2')).get(itemIdOf(4))).toMatchObject({ removed: true });
      await upsertItems(database(), [catalogueItem(4)]);
      await embedItemInLiveVersions(
        database(),
        catalogueItem(4).item_id,
        embeddersOf(v1, v2),
        logger,
      );
      expect((await vectorsOf('v2')).get(itemIdOf(4))).toMatchObject({ removed: false });
    });

    it('that only an older version cannot take are embedded in the others', async () => {
      await publish(makeArtifact({ version: 'v1' }));
      const v2 = makeArtifact({ version: 'v2' });
      await publish(v2);
      const item = catalogueItem(700);
      await upsertItems(database(), [item]);
      expect(
        await embedItemInLiveVersions(database(), item.item_id, embeddersOf(v2), logger),
      ).toEqual(['v2']);
    });

    it('with vectors of another width than the published model are refused with the width it wants', async () => {
      const v1 = makeArtifact({ version: 'v1' });
      await publish(v1);
      const odd = { item_id: 'odd', available: true, features: { image: [1, 2] } };
      await upsertItems(database(), [odd]);
      await expect(
        embedItemInLiveVersions(database(), odd.item_id, embeddersOf(v1), logger),
      ).rejects.toMatchObject({ code: 'invalid_request' });
    });

    it('changed by two at once have the vector of what the catalogue says, whoever embeds last', async () => {
      const v1 = makeArtifact({ version: 'v1' });
      await publish(v1);
      const [first, second] = [
        catalogueItem(900),
        { ...catalogueItem(901), item_id: itemIdOf(900) },
      ];
      const vectorOf = async (itemId: string) => (await vectorsOf('v1')).get(itemId)?.embedding;
      await upsertItems(database(), [catalogueItem(901)]);
      await embedItemInLiveVersions(database(), itemIdOf(901), embeddersOf(v1), logger);
      const wanted = await vectorOf(itemIdOf(901));
      // The first is written, and held up before it is embedded until the second is done.
      const slow: EmbedderSource = async (version, path) => {
        await upsertItems(database(), [second]);
        await embedItemInLiveVersions(database(), second.item_id, embeddersOf(v1), logger);
        return embeddersOf(v1)(version, path);
      };
      await upsertItems(database(), [first]);
      const before = await writtenAt(first.item_id);
      await embedItemInLiveVersions(database(), first.item_id, slow, logger);
      expect(await vectorOf(first.item_id)).toEqual(wanted);
      // The same by the way of many.
      const { embed } = await prepareItems(database(), [first], embeddersOf(v1), logger);
      await upsertItems(database(), [first]);
      await upsertItems(database(), [second]);
      await embedItemInLiveVersions(database(), second.item_id, embeddersOf(v1), logger);
      await embed();
      expect(await vectorOf(first.item_id)).toEqual(wanted);
      // And what was read before never takes the place of what was read after.
      const row = {
        ...{ itemId: first.item_id, trained: false, writtenAt: before },
        vector: new Float32Array(v1.manifest.config.sizes.at(-1)!),
      };
      await upsertVectors(database(), 'v1', [row]);
      expect(await vectorOf(first.item_id)).toEqual(wanted);
    });

    it('sent in bulk with vectors of their own are embedded once, and made anew only where somebody changed them', async () => {
      const v1 = makeArtifact({ version: 'v1' });
      await publish(v1);
      const counts = new Map<string, number>();
      const source = embeddersOf(v1);
      const counting: EmbedderSource = async (version, path) => {
        const embedder = await source(version, path);
        return {
          ...embedder,
          embedCatalogue: (item) => {
            counts.set(item.item_id, (counts.get(item.item_id) ?? 0) + 1);
            return embedder.embedCatalogue(item);
          },
        };
      };
      const items: Item[] = [
        // Numbers that float32 has not, and what the catalogue does not keep.
        { ...catalogueItem(901), features: { image: [0.1, -1e-7, 1 / 3] } },
        { ...catalogueItem(902), features: {} },
        { ...catalogueItem(903), features: { image: [0.7, 0.1, 0.2] } },
      ];
      const { embed } = await prepareItems(database(), items, counting, logger);
      await upsertItems(database(), items);
      await upsertItems(database(), [{ ...items[2]!, title: 'another' }]);
      await embed();
      expect([1, 2, 3].map((n) => counts.get(itemIdOf(900 + n)))).toEqual([1, 1, 2]);
      // To the bit as a single write makes it.
      const inBulk = (await vectorsOf('v1')).get(itemIdOf(901))?.embedding;
      await embedItemInLiveVersions(database(), itemIdOf(901), counting, logger);
      expect((await vectorsOf('v1')).get(itemIdOf(901))?.embedding).toEqual(inBulk);
    });

    it('deleted while somebody embeds what was read before stay deleted', async () => {
      const v1 = makeArtifact({ version: 'v1' });
      await publish(v1);
      await upsertItems(database(), [catalogueItem(4)]);
      await embedItemInLiveVersions(database(), itemIdOf(4), embeddersOf(v1), logger);
      const { vector } = (await vectorsOf('v1')).get(itemIdOf(4))!;
      const read = { trained: true, writtenAt: await writtenAt(itemIdOf(4)) };
      await deleteItems(database(), [itemIdOf(4)]);
      expect(await removeItemFromLiveVersions(database(), itemIdOf(4))).toEqual(['v1']);
      await upsertVectors(database(), 'v1', [{ itemId: itemIdOf(4), vector, ...read }]);
      expect((await vectorsOf('v1')).get(itemIdOf(4))).toMatchObject({ removed: true });
    });

    it('written while a version is being published are in it', async () => {
      const artifact = makeArtifact({ version: 'v1' });
      const writes: Promise<unknown>[] = [];
      await publish(artifact, {
        onProgress: ({ phase, done }) => {
          if (phase !== 'index') return;
          writes.push(upsertItems(database(), [catalogueItem(800 + done)]));
        },
      });
      await Promise.all(writes);
      const vectors = await vectorsOf('v1');
      expect(writes).toHaveLength(2);
      expect(vectors.has(itemIdOf(801)) && vectors.has(itemIdOf(802))).toBe(true);
    });
  });

  it('keeps a pointer that others moved by hand whole: the swap compares what it replaces', async () => {
    await publish(makeArtifact({ version: 'v1' }));
    await publish(makeArtifact({ version: 'v2' }));
    expect(await swapPublished(database(), 'v1', 'v1')).toBeNull();
    expect(await served()).toMatchObject({ version: 'v2', previous: 'v1' });
  });
});
