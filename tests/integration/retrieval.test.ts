/** Retrieval on both databases: answers against plain arithmetic, full lists, one version per request. */
import type { RecommendationsAnswer, TierPlan } from '@nestrec/contracts';
import { recommendationsAnswerSchema } from '@nestrec/contracts';
import { type Database } from '@nestrec/database';
import { itemVectors, sliceParameters } from '@nestrec/parameters';
import {
  publishVersion,
  removeItemFromLiveVersions,
  type PublishOptions,
} from '@nestrec/publishing';
import type { Artifact } from '@nestrec/registry';
import {
  createPublishedModels,
  createRecommender,
  EXACT_MAX_ROWS,
  SCORE_DECIMALS,
} from '@nestrec/retrieval';
import { manualClock, silentLogger } from '@nestrec/runtime';
import {
  getVersion,
  insertInteractions,
  itemVectorsTable,
  listItemVectorTables,
  upsertItems,
  upsertUserStates,
} from '@nestrec/storage';
import { createCell, encodeState } from '@nestrec/streaming';
import { beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { catalogueItem, itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import { rolledBack } from '../helpers/rolled-back.js';
import { waitFor } from '../helpers/wait-for.js';
import { tiersOf } from '../helpers/tiers-of.js';

const logger = silentLogger();
const T0 = Date.UTC(2026, 0, 1);

async function wipe(db: Database): Promise<void> {
  await db.execute(
    'TRUNCATE interactions, items, user_states, item_popularity, published_model, model_versions CASCADE',
  );
  for (const version of await listItemVectorTables(db)) {
    await db.execute(`DROP TABLE ${itemVectorsTable(version)}`);
  }
}

const idsOf = (answer: RecommendationsAnswer) => answer.items.map((item) => item.item_id);
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

/** The answer of the model cut to `dim`, computed from a slice of its weights alone. */
function referenceScores(artifact: Artifact, history: readonly string[], dim: number) {
  const { config } = artifact.manifest;
  const small = sliceParameters(config, artifact.parameters, dim);
  const table = itemVectors(small.config, small.parameters, artifact.features, 0, config.numItems);
  const vector = (row: number) => table.subarray(row * dim, (row + 1) * dim);
  const cell = createCell(small.config, small.parameters);
  const state = cell.fold(history.map((itemId) => vector(artifact.itemIds.indexOf(itemId))));
  const query = cell.query(state);
  return artifact.itemIds
    .map((itemId, row) => ({ itemId, score: dot(query, vector(row)), vector: vector(row) }))
    .sort((a, b) => b.score - a.score);
}

describeDatabases('retrieval', (database) => {
  const artifacts = new Map<string, Artifact>();
  const publish = async (artifact: Artifact, extra: Partial<PublishOptions> = {}) => {
    artifacts.set(artifact.manifest.version, artifact);
    await publishVersion({
      ...{ db: database(), artifact, path: 'unused', tiers: tiersOf(4, null), logger },
      ...{ recallQueries: 1, ...extra },
    });
  };
  const open = (extra: { db?: Database; pollMs?: number; clock?: { now(): number } } = {}) => {
    const db = extra.db ?? database();
    const models = createPublishedModels({
      ...{ db, logger, pollMs: 0 },
      loadArtifact: (version) => Promise.resolve(artifacts.get(version)!),
      ...extra,
    });
    return { models, recommender: createRecommender({ db, models, logger }) };
  };
  let events = 0;
  const interact = async (userId: string, ...itemIds: string[]) => {
    await insertInteractions(
      database(),
      itemIds.map((itemId) => {
        const n = events++;
        const eventId = `e${String(n).padStart(6, '0')}`;
        return { eventId, userId, itemId, type: 'view', timestampMs: T0 + n, value: null };
      }),
    );
  };
  /** As ingest would write it. */
  const store = async (
    artifact: Artifact,
    userId: string,
    history: string[],
    unknownEvents = 0,
  ) => {
    const { config, version } = artifact.manifest;
    const table = itemVectors(config, artifact.parameters, artifact.features, 0, config.numItems);
    const dim = config.sizes.at(-1)!;
    const row = (itemId: string) => artifact.itemIds.indexOf(itemId) * dim;
    const cell = createCell(config, artifact.parameters);
    const state = cell.fold(history.map((id) => table.subarray(row(id), row(id) + dim)));
    await upsertUserStates(database(), [
      {
        ...{ userId, modelVersion: version, state: encodeState(state), edits: 0, unknownEvents },
        ...{ lastItemId: history.at(-1)!, eventsInState: history.length },
        ...{ newestTimestampMs: T0 + 1_000, newestEventId: 'e', vectorsRevision: 2n ** 40n },
      },
    ]);
  };
  const agree = (answer: RecommendationsAnswer, wanted: { itemId: string; score: number }[]) => {
    expect(recommendationsAnswerSchema.parse(answer)).toEqual(answer);
    expect(answer.items.map((item) => item.rank)).toEqual(wanted.map((_, i) => i + 1));
    answer.items.forEach((item, i) => expect(item.score).toBeCloseTo(wanted[i]!.score, 4));
    expect(idsOf(answer)).toEqual(wanted.map((item) => item.itemId));
  };

  beforeEach(async () => {
    artifacts.clear();
    await wipe(database());
  });

  describe('an answer', () => {
    it.each([1, 2])(
      'at every size equals the exact search of a model cut to that size (K = %i)',
      async (blocks) => {
        const artifact = makeArtifact({ version: 'v1', blocks, items: 80 });
        await publish(artifact);
        const history = [5, 9, 9, 30, 2].map(itemIdOf);
        await interact('rebuilt', ...history);
        await interact('stored', ...history);
        await store(artifact, 'stored', history);
        const { recommender } = open();
        for (const dim of [4, 8, 16]) {
          const wanted = referenceScores(artifact, history, dim)
            .filter(({ itemId }) => !history.includes(itemId))
            .slice(0, 12);
          for (const userId of ['rebuilt', 'stored']) {
            const answer = await recommender.recommendForUser({ userId, k: 12, dim });
            agree(answer, wanted);
            expect(answer.served_by).toMatchObject({
              ...{ model_version: 'v1', dim, plan: 'exact', personalised: true, fallback: null },
              events_in_state: 5,
            });
          }
          const session = await recommender.recommendForSession({ items: history, k: 12, dim });
          agree(session, wanted);
        }
      },
    );

    it('holds seen items on request only, and serves the greatest size when none is asked for', async () => {
      const artifact = makeArtifact({ version: 'v1' });
      await publish(artifact);
      const history = [1, 2, 3].map(itemIdOf);
      await interact('u', ...history);
      const { recommender } = open();
      const all = await recommender.recommendForUser({ userId: 'u', k: 60, excludeSeen: false });
      agree(all, referenceScores(artifact, history, 16));
      const unseen = await recommender.recommendForUser({ userId: 'u', k: 60, maxDim: 15 });
      expect(unseen.served_by.dim).toBe(8);
      expect(unseen.items).toHaveLength(57);
      expect(idsOf(unseen).filter((id) => history.includes(id))).toEqual([]);
      await expect(
        recommender.recommendForUser({ userId: 'u', k: 5, dim: 16, maxDim: 8 }),
      ).rejects.toMatchObject({ code: 'dimension_not_allowed' });
    });

    it('never holds items that are unavailable or removed, however it was found', async () => {
      const artifact = makeArtifact({ version: 'v1' });
      await publish(artifact);
      await interact('u', itemIdOf(1));
      const { recommender } = open();
      const lists = async () =>
        Promise.all([
          recommender.recommendForUser({ userId: 'u', k: 60 }),
          recommender.recommendForUser({ userId: 'stranger', k: 60 }),
          recommender.recommendForSession({ items: [itemIdOf(1)], k: 60 }),
          recommender.similarItems({ itemId: itemIdOf(1), k: 60 }),
        ]);
      const before = await lists();
      expect(before.map((answer) => answer.items.length)).toEqual([59, 60, 59, 59]);
      await upsertItems(database(), [{ ...catalogueItem(7), available: false }]);
      await removeItemFromLiveVersions(database(), itemIdOf(8));
      const gone = [itemIdOf(7), itemIdOf(8)];
      for (const answer of await lists()) {
        expect(idsOf(answer).filter((id) => gone.includes(id))).toEqual([]);
        expect(answer.items.length).toBeGreaterThan(56);
      }
    });

    it('follows an event at once, with and without a stored state', async () => {
      const artifact = makeArtifact({ version: 'v1' });
      await publish(artifact);
      const { recommender } = open();
      await interact('u', itemIdOf(1));
      const before = await recommender.recommendForUser({ userId: 'u', k: 5 });
      await interact('u', itemIdOf(2));
      const after = await recommender.recommendForUser({ userId: 'u', k: 5 });
      expect(after.items).not.toEqual(before.items);
      expect(after.served_by.events_in_state).toBe(2);
      expect(Date.parse(after.served_by.state_at!)).toBe(T0 + events - 1);
    });
  });

  describe('a state', () => {
    it('of another version, with unknown events, or broken is rebuilt from events and not written', async () => {
      const [v1, v2] = [makeArtifact({ version: 'v1' }), makeArtifact({ version: 'v2', seed: 2 })];
      await publish(v2);
      const { recommender } = open();
      const history = [4, 8, 15].map(itemIdOf);
      for (const userId of ['other-version', 'unknown-events', 'broken']) {
        await interact(userId, ...history);
      }
      await store(v1, 'other-version', [16, 23].map(itemIdOf));
      await store(v2, 'unknown-events', [16, 23].map(itemIdOf), 1);
      await store(v2, 'broken', [16, 23].map(itemIdOf));
      await database().query(
        `UPDATE user_states SET state = substr(state, 1, 30) WHERE user_id = 'broken'`,
      );
      const states = 'SELECT * FROM user_states ORDER BY user_id';
      const before = (await database().query(states)).rows;
      const wanted = referenceScores(v2, history, 16)
        .filter(({ itemId }) => !history.includes(itemId))
        .slice(0, 5);
      for (const userId of ['other-version', 'unknown-events', 'broken']) {
        const answer = await recommender.recommendForUser({ userId, k: 5 });
        agree(answer, wanted);
        expect(answer.served_by.events_in_state).toBe(3);
      }
      expect((await database().query(states)).rows).toEqual(before);
    });

    it('that is this version’s and complete is used as it stands', async () => {
      const artifact = makeArtifact({ version: 'v1' });
      await publish(artifact);
      await store(artifact, 'u', [16, 23].map(itemIdOf));
      const answer = await open().recommender.recommendForUser({ userId: 'u', k: 5 });
      agree(answer, referenceScores(artifact, [16, 23].map(itemIdOf), 16).slice(0, 5));
      expect(answer.served_by.state_at).toBe(new Date(T0 + 1_000).toISOString());
    });
  });

  describe('who is not known', () => {
    it('gets the model’s empty-history list blended with what is popular, and the answer says so', async () => {
      const artifact = makeArtifact({ version: 'v1' });
      const byModel = referenceScores(artifact, [], 16).map(({ itemId }) => itemId);
      // The favourite of the crowd is the model's last choice.
      const favourite = byModel.at(-1)!;
      for (let n = 0; n < 5; n++) await interact(`crowd${n}`, favourite);
      await interact('crowd0', byModel[20]!);
      await publish(artifact);
      const answer = await open().recommender.recommendForUser({ userId: 'stranger', k: 10 });
      expect(answer.served_by).toMatchObject({
        ...{ personalised: false, fallback: 'unknown_user', events_in_state: 0, state_at: null },
      });
      // 1/(60 + 1) + 1/(60 + 60), 1/(60 + 2) + 1/(60 + 21), then the model's first.
      expect(idsOf(answer).slice(0, 3)).toEqual([byModel[20], favourite, byModel[0]]);
      expect(answer.items[0]!.score).toBeCloseTo(1 / 62 + 1 / 81, SCORE_DECIMALS);
      expect(answer.items[1]!.score).toBeCloseTo(1 / 61 + 1 / 120, SCORE_DECIMALS);
      expect(answer.items).toHaveLength(10);
    });

    it('with events of unknown items only gets the same, and the other reason', async () => {
      await publish(makeArtifact({ version: 'v1' }));
      await interact('u', 'never-heard-of');
      const { recommender } = open();
      const answer = await recommender.recommendForUser({ userId: 'u', k: 10 });
      expect(answer.served_by).toMatchObject({ fallback: 'no_known_items', personalised: false });
      expect(answer.items).toHaveLength(10);
      const session = await recommender.recommendForSession({ items: ['never-heard-of'], k: 10 });
      expect(session.served_by.fallback).toBe('no_known_items');
      const empty = await recommender.recommendForSession({ items: [], k: 10 });
      expect(empty.served_by).toMatchObject({ fallback: 'unknown_user', events_in_state: 0 });
      expect(empty.items).toHaveLength(10);
    });
  });

  describe('similar items', () => {
    it('are the nearest by the angle of the prefixes, without the item itself', async () => {
      const artifact = makeArtifact({ version: 'v1' });
      await publish(artifact);
      const { recommender } = open();
      for (const dim of [4, 16]) {
        const rows = referenceScores(artifact, [], dim);
        const own = rows.find(({ itemId }) => itemId === itemIdOf(3))!.vector;
        const norm = (a: Float32Array) => Math.sqrt(dot(a, a));
        const wanted = rows
          .filter(({ itemId }) => itemId !== itemIdOf(3))
          .map(({ itemId, vector }) => ({
            itemId,
            score: dot(own, vector) / norm(own) / norm(vector),
          }))
          .sort((a, b) => b.score - a.score)
          .slice(0, 8);
        const answer = await recommender.similarItems({ itemId: itemIdOf(3), k: 8, dim });
        agree(answer, wanted);
        expect(answer.served_by).toMatchObject({ personalised: false, fallback: null, dim });
      }
    });

    it('of an item that is not there or was removed are not found', async () => {
      await publish(makeArtifact({ version: 'v1' }));
      await removeItemFromLiveVersions(database(), itemIdOf(8));
      const { recommender } = open();
      for (const itemId of ['nothing', itemIdOf(8)]) {
        await expect(recommender.similarItems({ itemId, k: 3 })).rejects.toMatchObject({
          code: 'item_not_found',
        });
      }
    });
  });

  describe('versions', () => {
    it('are one per request, however often the pointer moves under load', async () => {
      const users = ['a', 'b', 'c'];
      for (const [index, user] of users.entries()) await interact(user, itemIdOf(index + 1));
      const versions = ['v1', 'v2', 'v3'];
      const expected = new Map<string, unknown>();
      for (const [index, version] of versions.entries()) {
        await publish(makeArtifact({ version, seed: index + 1 }));
        const { recommender } = open();
        for (const userId of users) {
          const { items } = await recommender.recommendForUser({ userId, k: 5 });
          expected.set(`${version} ${userId}`, items);
        }
      }
      const { models, recommender } = open();
      const seenVersions = new Set<string>();
      const answered = new Set<string>();
      let swapping = true;
      const load = async (userId: string) => {
        while (swapping) {
          const answer = await recommender.recommendForUser({ userId, k: 5 });
          const version = answer.served_by.model_version;
          seenVersions.add(version);
          expect(answer.items).toEqual(expected.get(`${version} ${userId}`));
        }
      };
      const clients = users.map(load);
      for (let swap = 0; swap < 30; swap++) {
        await rolledBack(database(), { to: versions[swap % 3]! }).catch(() => undefined);
        await models.refresh();
        // Now and then it stays until it has answered: requests could keep step with the swaps by chance.
        if (swap % 4 > 0) continue;
        seenVersions.clear();
        await waitFor('the version to answer', () => seenVersions.has(versions[swap % 3]!));
        answered.add(versions[swap % 3]!);
      }
      swapping = false;
      await Promise.all(clients);
      expect(answered).toEqual(new Set(versions));
    });

    it('whose vectors were dropped under a request are followed to the published one', async () => {
      for (const version of ['v1', 'v2', 'v3']) await publish(makeArtifact({ version }));
      await rolledBack(database(), { to: 'v1' });
      const { recommender } = open({ pollMs: 1e9 });
      expect(
        (await recommender.recommendForUser({ userId: 'u', k: 3 })).served_by.model_version,
      ).toBe('v1');
      for (const version of ['v4', 'v5', 'v6']) await publish(makeArtifact({ version }));
      expect(await listItemVectorTables(database())).not.toContain('v1');
      const answer = await recommender.recommendForUser({ userId: 'u', k: 3 });
      expect(answer.served_by.model_version).toBe('v6');
      expect(answer.items).toHaveLength(3);
    });

    it('are looked for at most once per poll, and a version that cannot be loaded leaves the old one serving', async () => {
      const clock = manualClock(0);
      let looks = 0;
      const db = database();
      const counting: Database = {
        ...db,
        query: (text, params) => {
          if (text.includes('FROM published_model')) looks++;
          return db.query(text, params);
        },
      };
      const { models } = open({ db: counting, pollMs: 500, clock });
      await expect(models.current()).rejects.toMatchObject({ code: 'no_published_model' });
      await publish(makeArtifact({ version: 'v1' }));
      expect((await models.current()).version).toBe('v1');
      looks = 0;
      for (let n = 0; n < 10; n++) await models.current();
      expect(looks).toBe(0);
      await publish(makeArtifact({ version: 'v2' }));
      const v2 = artifacts.get('v2')!;
      artifacts.delete('v2');
      await expect(models.refresh()).rejects.toThrow();
      expect((await models.current()).version).toBe('v1');
      artifacts.set('v2', v2);
      expect((await models.refresh()).version).toBe('v2');
      expect(models.peek()?.version).toBe('v2');
    });
  });

  describe('a catalogue of thousands', () => {
    const ITEMS = 3_000;
    const K = 10;

    it('is searched by the index, which the planner uses for each indexed size', async () => {
      const artifact = makeArtifact({ version: 'v1', items: ITEMS });
      expect(ITEMS).toBeGreaterThan(EXACT_MAX_ROWS);
      await publish(artifact, { tiers: tiersOf(4, null), recallQueries: 20 });
      await interact('u', ...[5, 9, 30, 2].map(itemIdOf));
      const db = database();
      const statements: [string, readonly unknown[]][] = [];
      const recording: Database = {
        ...db,
        query: (text, params) => {
          if (text.includes('<#>')) statements.push([text, params ?? []]);
          return db.query(text, params);
        },
      };
      const { recommender } = open({ db: recording });
      for (const dim of [4, 16]) {
        const user = await recommender.recommendForUser({ userId: 'u', k: K, dim });
        expect(user.served_by.plan).toBe('prefix');
        const session = await recommender.recommendForSession({ items: ['i0005'], k: 100, dim });
        expect(session.served_by.plan).toBe('prefix');
        expect(session.items).toHaveLength(100);
        const similar = await recommender.similarItems({ itemId: 'i0005', k: K, dim });
        expect(similar.served_by.plan).toBe('prefix');
        const plans = [];
        for (const [text, params] of statements.splice(0)) {
          const { rows } = await db.query(`EXPLAIN ${text}`, params);
          plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
        }
        expect(plans).toHaveLength(3);
        for (const plan of plans) expect(plan).toContain(`iv_v1_${dim}`);
      }
      const other = await recommender.recommendForUser({ userId: 'u', k: K, dim: 8 });
      expect(other.served_by.plan).toBe('exact');
    });

    it('is searched by the plan of the tier; `bound` gives what `exact` gives, and explains it', async () => {
      await publish(makeArtifact({ version: 'v1', items: ITEMS }), {
        tiers: (['exact', 'prefix', 'staged', 'bound'] as const).map((plan) => ({
          ...{ max_dim: null, plan },
        })),
        ...{ recallQueries: 5, minRecall: 0 },
      });
      const version = await getVersion(database(), 'v1');
      expect(version!.plans.map(({ plan }) => plan)).toEqual([
        ...['bound', 'exact', 'prefix', 'staged'],
      ]);
      expect(version!.indexes.map(({ kind, dim }) => `${kind} ${dim}`)).toEqual([
        ...['halfvec 8', 'halfvec 16'],
      ]);
      await interact('u', ...[5, 9, 30, 2].map(itemIdOf));
      const { recommender } = open();
      const ask = (plan: TierPlan) =>
        recommender.recommendForUser({ userId: 'u', k: K, plan, explain: true });
      const [exact, bound, staged] = [await ask('exact'), await ask('bound'), await ask('staged')];
      expect(recommendationsAnswerSchema.parse(bound)).toEqual(bound);
      expect(bound.items).toEqual(exact.items);
      expect([exact, bound, staged].map((answer) => answer.served_by.plan)).toEqual([
        ...['exact', 'bound', 'staged'],
      ]);
      expect(exact.explain).toMatchObject({ proven: true, index: null, rows_looked_at: ITEMS });
      expect(bound.explain).toMatchObject({ proven: true, dims: [8, 16], tried: [] });
      expect(staged.explain).toMatchObject({
        ...{ wanted: 'staged', proven: false, dims: [8, 16] },
        index: { kind: 'halfvec', metric: 'inner_product', dim: 8 },
      });
      expect(staged.explain!.stages.map(({ name }) => name)).toEqual(['near', 'answer']);
      expect((await recommender.recommendForUser({ userId: 'u', k: K })).explain).toBeUndefined();
    });

    it('gives by the index what the exact search gives, at least 95 in 100', async () => {
      const artifact = makeArtifact({ version: 'v1', items: ITEMS });
      await publish(artifact, { tiers: tiersOf(4, null) });
      const { recommender } = open();
      let hits = 0;
      for (let n = 0; n < 20; n++) {
        const history = [n * 97, n * 31 + 5].map((i) => itemIdOf(i % ITEMS));
        const dim = n % 2 === 0 ? 4 : 16;
        const answer = await recommender.recommendForSession({ items: history, k: K, dim });
        expect(answer.served_by.plan).toBe('prefix');
        const exact = referenceScores(artifact, history, dim)
          .filter(({ itemId }) => !history.includes(itemId))
          .slice(0, K)
          .map(({ itemId }) => itemId);
        hits += idsOf(answer).filter((id) => exact.includes(id)).length;
      }
      expect(hits / (20 * K)).toBeGreaterThanOrEqual(0.95);
    });

    it('gives requests of one moment what it gives each alone', async () => {
      await publish(makeArtifact({ version: 'v1', items: ITEMS }), { tiers: tiersOf(4, null) });
      const { recommender } = open();
      const users = Array.from({ length: 12 }, (_, n) => `u${n}`);
      for (const [n, user] of users.entries()) {
        await interact(user, ...[n * 7, n * 13 + 2, n * 29 + 5].map((i) => itemIdOf(i % ITEMS)));
      }
      const ask = (userId: string, n: number) =>
        recommender.recommendForUser({
          ...{ userId, k: K, dim: n % 2 === 0 ? 4 : 16, excludeSeen: n % 3 !== 0 },
        });
      const together = await Promise.all(users.map(ask));
      for (const [n, user] of users.entries()) expect(together[n]).toEqual(await ask(user, n));
    });

    it('fills k for a user who has seen nearly all of it, and gives the rest where fewer are left', async () => {
      const artifact = makeArtifact({ version: 'v1', items: ITEMS });
      await publish(artifact);
      const { recommender } = open();
      const seen = artifact.itemIds.slice(0, ITEMS - 15);
      await interact('u', ...seen);
      const history = seen.slice(-artifact.manifest.replayEvents);
      const wanted = referenceScores(artifact, history, 4).filter(
        ({ itemId }) => itemId >= itemIdOf(ITEMS - 15),
      );
      const full = await recommender.recommendForUser({ userId: 'u', k: K, dim: 4 });
      agree(full, wanted.slice(0, K));
      const rest = await recommender.recommendForUser({ userId: 'u', k: 50, dim: 4 });
      agree(rest, wanted);
      expect(rest.items).toHaveLength(15);
      expect(rest.served_by.plan).toBe('exact');
    });
  });
});
