/** A new item's way: embedded by items like it when it is put, by its own events once a training has seen them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseVector } from '@nestrec/database';
import {
  createEmbedderSource,
  embedItemInLiveVersions,
  prepareItems,
  publishVersion,
} from '@nestrec/publishing';
import { loadArtifact, type Artifact } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import { insertInteractions, itemVectorsTable, upsertItems } from '@nestrec/storage';
import { createCell } from '@nestrec/streaming';
import { selectBackend } from '@nestrec/tensor';
import { planTraining, runTraining } from '@nestrec/trainer';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { wipeAll } from '../helpers/state-verification.js';
import { tiersOf } from '../helpers/tiers-of.js';

const [GROUPS, IN_GROUP, USERS, EVENTS] = [5, 6, 120, 6];
const WORDS = ['amber lamp', 'blue carpet', 'green kettle', 'red drum', 'white easel'];
/** What everybody takes after `g0-0`, once it is there. */
const FRESH = 'fresh';
const logger = silentLogger();

const nameOf = (group: number, n: number) => `g${group}-${n % IN_GROUP}`;
const item = (item_id: string, group: number) => ({
  ...{ item_id, available: true, title: WORDS[group]! },
});
const event = (userId: string, n: number, itemId: string) => ({
  ...{ eventId: `${userId}-${n}`, userId, itemId, type: 'view', value: null },
  timestampMs: Date.UTC(2026, 0, 1) + n * 86_400_000,
});

let folder: string;
beforeAll(async () => {
  await selectBackend({ force: 'cpu' });
  folder = await mkdtemp(join(tmpdir(), 'nestrec-cold-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describeDatabases('an item that comes after a training', (database) => {
  const train = async (name: string, mode: 'full' | 'incremental') => {
    const db = database();
    const version = `${name}_${db.kind}`;
    const overrides = { maxEpochs: 8, usersPerBatch: 16, learningRate: 0.02, patience: 0 };
    const full = mode === 'full' ? { sizes: [4, 8, 16] } : {};
    const plan = await planTraining(db, { mode, preset: 'fast', overrides, ...full });
    await runTraining({
      ...{ db, version, ...plan, modelsDir: folder, checkpointsDir: join(folder, 'checkpoints') },
      ...{ textWidth: 8, seed: 1, protocol: 'leave-one-out', commit: null },
    });
    const artifact = await loadArtifact(join(folder, version));
    await publishVersion({
      ...{ db, artifact, path: join(folder, version), tiers: tiersOf(null), logger },
      ...{ recallQueries: 2, minRecall: 0, force: true },
    });
    return artifact;
  };
  const vectorsOf = async ({ manifest }: Artifact) => {
    const { rows } = await database().query<{ item_id: string; embedding: string }>(
      `SELECT item_id, embedding FROM ${itemVectorsTable(manifest.version)}`,
    );
    return new Map(rows.map((row) => [row.item_id, parseVector(row.embedding)]));
  };
  /** Where the new item stands after `g0-0`, 1 at best, at each size. */
  const rankOfFresh = async (artifact: Artifact) => {
    const vectors = await vectorsOf(artifact);
    const cell = createCell(artifact.manifest.config, artifact.parameters);
    const query = cell.query(cell.fold([vectors.get(nameOf(0, 0))!]));
    return artifact.manifest.config.sizes.map((size) => {
      const score = (vector: ArrayLike<number>) =>
        query.subarray(0, size).reduce((sum, value, d) => sum + value * vector[d]!, 0);
      const own = score(vectors.get(FRESH)!);
      return [...vectors.values()].filter((vector) => score(vector) >= own).length;
    });
  };
  beforeEach(async () => {
    const db = database();
    await wipeAll(db);
    const walks = Array.from({ length: USERS }, (_, user) =>
      Array.from({ length: EVENTS }, (_, n) =>
        event(`u${user}`, n, nameOf(user % GROUPS, Math.floor(user / GROUPS) + n)),
      ),
    );
    await insertInteractions(db, walks.flat());
    const items = Array.from({ length: GROUPS * IN_GROUP }, (_, i) =>
      item(nameOf(Math.floor(i / IN_GROUP), i), Math.floor(i / IN_GROUP)),
    );
    await upsertItems(db, items);
  });

  it.each(['full', 'incremental'] as const)(
    'is embedded in the live version by items like it, and better once a %s training knows its events',
    async (mode) => {
      const db = database();
      const before = await train(`before_${mode}`, 'full');
      expect(before.manifest.coldItems!.neighbours).toBe(5);
      const embedders = createEmbedderSource((_version, path) => loadArtifact(path), 2);
      await upsertItems(db, [item(FRESH, 0)]);
      expect(await embedItemInLiveVersions(db, FRESH, embedders, logger)).toEqual([
        before.manifest.version,
      ]);
      const single = (await vectorsOf(before)).get(FRESH)!;
      await db.query(
        `DELETE FROM ${itemVectorsTable(before.manifest.version)} WHERE item_id = $1`,
        [FRESH],
      );
      await (await prepareItems(db, [item(FRESH, 0)], embedders, logger)).embed();
      expect([...(await vectorsOf(before)).get(FRESH)!]).toEqual([...single]);
      const cold = await rankOfFresh(before);

      const takers = Array.from({ length: 60 }, (_, user) =>
        [nameOf(0, 5), nameOf(0, 0), FRESH, nameOf(0, 0), FRESH, nameOf(0, 0), FRESH].map(
          (itemId, n) => event(`taker${user}`, n, itemId),
        ),
      );
      await insertInteractions(db, takers.flat());
      const after = await train(`after_${mode}`, mode);
      expect(after.itemIds).toContain(FRESH);
      expect(after.learned).toBeUndefined();
      const warm = await rankOfFresh(after);
      const told = `${cold.join(', ')} -> ${warm.join(', ')}`;
      warm.forEach((rank, k) => {
        expect(rank, told).toBeLessThanOrEqual(2);
        expect(rank, told).toBeLessThan(cold[k]!);
      });
    },
    120_000,
  );

  it('counts as not learned where a training holds out all its events, and is served as filled', async () => {
    await insertInteractions(database(), [event('u0', EVENTS, FRESH)]);
    await upsertItems(database(), [item(FRESH, 0)]);
    const artifact = await train('held', 'full');
    const row = artifact.itemIds.indexOf(FRESH);
    expect([...artifact.learned!.entries()].filter(([, is]) => is === 0)).toEqual([[row, 0]]);
    const embedders = createEmbedderSource((_version, path) => loadArtifact(path), 1);
    const trained = (await vectorsOf(artifact)).get(FRESH)!;
    await embedItemInLiveVersions(database(), FRESH, embedders, logger);
    (await vectorsOf(artifact)).get(FRESH)!.forEach((value, d) => {
      expect(value).toBeCloseTo(trained[d]!, 5);
    });
  });
});
