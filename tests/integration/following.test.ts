/** A process that follows the pointer, over both databases and artifacts on disk: what it serves, and when. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TIERS } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { loadArtifact } from '@nestrec/registry';
import {
  createPublishedModels,
  createRecommender,
  createWarmUp,
  type PublishedModels,
} from '@nestrec/retrieval';
import { silentLogger } from '@nestrec/runtime';
import {
  ensureDefaultTiers,
  insertInteractions,
  itemVectorsTable,
  listItemVectorTables,
  PUBLISHED_CHANNEL,
  swapPublished,
  upsertTier,
} from '@nestrec/storage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAMAGES } from '../helpers/damage.js';
import { describeDatabases } from '../helpers/databases.js';
import { itemIdOf } from '../helpers/published-artifact.js';
import { publishModel } from '../helpers/published-model.js';
import { rolledBack } from '../helpers/rolled-back.js';
import { waitFor } from '../helpers/wait-for.js';

const logger = silentLogger();
/** The poll never comes: what happens is by NOTIFY. */
const NEVER_MS = 1e9;

async function wipe(db: Database): Promise<void> {
  await db.execute('TRUNCATE interactions, items, published_model, model_versions CASCADE');
  for (const version of await listItemVectorTables(db)) {
    await db.execute(`DROP TABLE ${itemVectorsTable(version)}`);
  }
}

describeDatabases('a process that follows the pointer', (database) => {
  let folder: string;
  let ends: (() => Promise<unknown>)[];
  beforeEach(async () => {
    ends = [];
    folder = await mkdtemp(join(tmpdir(), 'nestrec-following-'));
    await wipe(database());
    await ensureDefaultTiers(database());
  });
  afterEach(async () => {
    for (const end of ends) await end();
    await rm(folder, { recursive: true, force: true });
  });

  const publish = (version: string, seed: number) =>
    publishModel(database(), folder, { version, seed, items: 30 }, [4, null]);
  /** As `composeDeps` of the API does it. */
  const follow = (db: Database = database(), pollMs = NEVER_MS) => {
    const followed: string[] = [];
    const models = createPublishedModels({
      ...{ db, logger, pollMs, warmUp: createWarmUp({ db, logger }) },
      onFollowed: (result, version) => followed.push(`${version} ${result}`),
    });
    const listening = database().listen(PUBLISHED_CHANNEL, () => models.wake());
    ends.push(() => listening.stop());
    return { models, followed };
  };
  const serving = (models: PublishedModels, version: string) =>
    waitFor(`${version} to serve`, () => models.peek()?.version === version);

  it('loads the first model before it is asked, and follows publish and rollback by NOTIFY alone', async () => {
    await publish('v1', 1);
    const { models, followed } = follow();
    await serving(models, 'v1');
    await publish('v2', 2);
    await serving(models, 'v2');
    await rolledBack(database());
    await serving(models, 'v1');
    await rolledBack(database());
    await serving(models, 'v2');
    expect(followed).toEqual(['v1 loaded', 'v2 loaded', 'v1 loaded', 'v2 loaded']);
  });

  it('follows by the poll where nothing is heard', async () => {
    await publish('v1', 1);
    const models = createPublishedModels({ db: database(), logger, pollMs: 0 });
    await models.current();
    await publish('v2', 2);
    await waitFor('v2', async () => (await models.current()).version === 'v2');
  });

  it('answers real users at every tier size from the next version before that one serves', async () => {
    await upsertTier(database(), { ...DEFAULT_TIERS[0]!, name: 'tiny', max_dim: 4 });
    await publish('v1', 1);
    await insertInteractions(
      database(),
      Array.from({ length: 20 }, (_, n) => ({
        ...{ eventId: `e${n}`, userId: `u${n % 4}`, itemId: itemIdOf(n), type: 'view' },
        ...{ timestampMs: Date.UTC(2026, 0, 1) + n, value: null },
      })),
    );
    const asked = { before: [] as string[], on: true };
    const db: Database = {
      ...database(),
      query: (text, params) => {
        if (asked.on) asked.before.push(text);
        return database().query(text, params);
      },
    };
    const { models } = follow(db);
    await serving(models, 'v1');
    asked.before.length = 0;
    await publish('v2', 2);
    await waitFor('v2', () => {
      asked.on &&= models.peek()?.version !== 'v2';
      return !asked.on;
    });
    const ranked = asked.before.filter((text) =>
      /item_vectors_v2" v\s+WHERE NOT v.removed/.test(text),
    );
    expect(ranked.some((text) => text.includes('subvector(v.embedding, 1, 4)'))).toBe(true);
    expect(ranked.some((text) => text.includes('(v.embedding) <#>'))).toBe(true);
    // Histories of real users were read, not only the empty one's.
    expect(asked.before.some((text) => text.includes('FROM interactions'))).toBe(true);
  });

  it('warms up within its limit, whatever is left to warm', async () => {
    await publish('v1', 1);
    const models = createPublishedModels({ db: database(), logger });
    const model = await models.current();
    let statements = 0;
    const counted: Database = {
      ...database(),
      query: (text, params) => {
        statements += 1;
        return database().query(text, params);
      },
    };
    await createWarmUp({ db: counted, logger, limitMs: -1 })(model);
    // Whether pg_prewarm is there, the tiers, the sample of users; no request.
    expect(statements).toBe(3);
  });

  describe.each(DAMAGES)('an artifact with $name', ({ apply }) => {
    it('is refused when it is read, and leaves the old version serving', async () => {
      await publish('v1', 1);
      await publish('v2', 2);
      await rolledBack(database());
      await apply(join(folder, 'v2'));
      // What every publish begins with.
      await expect(loadArtifact(join(folder, 'v2'))).rejects.toMatchObject({
        code: 'invalid_artifact',
      });

      const { models, followed } = follow();
      await serving(models, 'v1');
      const recommender = createRecommender({ db: database(), models, logger });
      const answer = () => recommender.recommendForSession({ items: [itemIdOf(3)], k: 5 });
      const before = await answer();
      await swapPublished(database(), 'v2', 'v1');
      await waitFor('the refusal', () => models.failed() === 'v2');
      expect(await answer()).toEqual(before);
      await swapPublished(database(), 'v1', 'v2');
      await waitFor('well again', () => models.failed() === null);
      expect(await answer()).toEqual(before);
      expect(followed).toEqual(['v1 loaded', 'v2 failed']);
    });
  });
});
