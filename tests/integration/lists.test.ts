/** Filters, exclusions, boosts, diversity, pages and reasons of lists, on both databases. */
import {
  recommendationsAnswerSchema,
  type Filter,
  type Item,
  type RecommendationsAnswer,
} from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { publishVersion, type PublishOptions } from '@nestrec/publishing';
import type { Artifact } from '@nestrec/registry';
import {
  createPublishedModels,
  createRecommender,
  matchesFilter,
  MAX_PAGED_ITEMS,
  type Recommender,
} from '@nestrec/retrieval';
import { silentLogger } from '@nestrec/runtime';
import { insertInteractions, upsertItems } from '@nestrec/storage';
import { beforeAll, describe, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { catalogueItem, itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import { tiersOf } from '../helpers/tiers-of.js';

const logger = silentLogger();
const ITEMS = 2_400;
const K = 10;
const HISTORY = [5, 9, 30, 2].map(itemIdOf);

/** Thousands, so that the index serves; one item in 800 is rare. */
const item = (index: number): Item => ({
  ...catalogueItem(index),
  categories: [index % 2 === 0 ? 'even' : 'odd'],
  fields: {
    price: index % 50,
    rare: index % 800 === 7,
    tags: index % 3 === 0 ? ['fizz', 'all'] : ['all'],
  },
});
const catalogue = Array.from({ length: ITEMS }, (_, index) => item(index));
const byId = new Map(catalogue.map((one) => [one.item_id, one]));
const RARE: Filter = { field: 'fields.rare', eq: true };
const EVEN: Filter = { field: 'categories', eq: 'even' };
const CHEAP_EVEN: Filter = { and: [EVEN, { field: 'fields.price', lt: 10 }] };

const idsOf = (answer: RecommendationsAnswer) => answer.items.map((one) => one.item_id);
const matching = (ids: readonly string[], filter: Filter) =>
  ids.filter((id) => matchesFilter(byId.get(id)!, filter));

describeDatabases('lists', (database) => {
  let recommender: Recommender;
  let statements = 0;
  let events = 0;
  const artifacts = new Map<string, Artifact>();
  const publish = async (artifact: Artifact, extra: Partial<PublishOptions> = {}) => {
    artifacts.set(artifact.manifest.version, artifact);
    await publishVersion({
      ...{ db: database(), artifact, path: 'unused', tiers: tiersOf(8, null), logger },
      ...{ recallQueries: 1, minRecall: 0, force: true, ...extra },
    });
  };
  const interact = (userId: string, ...itemIds: string[]) =>
    insertInteractions(
      database(),
      itemIds.map((itemId) => {
        const n = events++;
        const timestampMs = Date.UTC(2026, 0, 1) + n;
        return { eventId: `e${n}`, userId, itemId, type: 'view', timestampMs, value: null };
      }),
    );
  /** At 4 dimensions, which have no index, so that every answer is exact. */
  const forUser = async (request: Partial<Parameters<Recommender['recommendForUser']>[0]> = {}) => {
    const answer = await recommender.recommendForUser({ userId: 'u', k: K, dim: 4, ...request });
    expect(recommendationsAnswerSchema.parse(answer)).toEqual(answer);
    return answer;
  };
  /** Every item that may be shown, best first: the answer to a request for all of them. */
  const everything = async (dim = 4) => idsOf(await forUser({ k: ITEMS, dim }));
  /** Follows `next` to the end. */
  const pagesOf = async (
    request: Partial<Parameters<Recommender['recommendForUser']>[0]>,
    between: () => Promise<unknown> = () => Promise.resolve(),
  ) => {
    const pages: RecommendationsAnswer[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const answer = await forUser({ ...request, ...(cursor === undefined ? {} : { cursor }) });
      pages.push(answer);
      cursor = answer.next!;
      await between();
    }
    return pages;
  };

  beforeAll(async () => {
    await upsertItems(database(), catalogue);
    await publish(makeArtifact({ version: 'v1', items: ITEMS }));
    await interact('u', ...HISTORY);
    const db: Database = {
      ...database(),
      query: (text, params) => {
        statements += 1;
        return database().query(text, params);
      },
    };
    const models = createPublishedModels({
      ...{ db, logger, pollMs: 1e9 },
      loadArtifact: (version) => Promise.resolve(artifacts.get(version)!),
    });
    recommender = createRecommender({ db, models, logger });
    await recommender.recommendForUser({ userId: 'u', k: 1 });
  }, 120_000);

  describe('items similar to one', () => {
    const similar = (request: Partial<Parameters<Recommender['similarItems']>[0]> = {}) =>
      recommender.similarItems({ itemId: itemIdOf(3), k: K, dim: 4, ...request });

    it('are the best of those that match, full, and by the index where much matches', async () => {
      const all = idsOf(await similar({ k: ITEMS }));
      const wanted = matching(all, EVEN).slice(0, K);
      expect(idsOf(await similar({ filter: EVEN }))).toEqual(wanted);
      const byIndex = await similar({ filter: EVEN, dim: 8 });
      expect(byIndex.served_by.plan).toBe('prefix');
      expect(matching(idsOf(byIndex), EVEN)).toHaveLength(K);
    });

    it('that match a rare value are found exactly, all of them', async () => {
      const wanted = matching(idsOf(await similar({ k: ITEMS, dim: 8 })), RARE);
      const answer = await similar({ filter: RARE, dim: 8 });
      expect(idsOf(answer)).toEqual(wanted);
      expect(answer.served_by.plan).toBe('exact');
    });

    it('hold neither what is excluded nor what is not available, and are full without', async () => {
      const all = idsOf(await similar({ k: ITEMS }));
      const [excluded, hidden, ...rest] = all;
      await upsertItems(database(), [{ ...byId.get(hidden!)!, available: false }]);
      const answer = await similar({ exclude: [excluded!] });
      await upsertItems(database(), [byId.get(hidden!)!]);
      expect(idsOf(answer)).toEqual(rest.slice(0, K));
    });
  });

  describe('a filter', () => {
    it('leaves the best of what matches, in order, full, and by the index where much matches', async () => {
      const wanted = matching(await everything(), EVEN).slice(0, K);
      expect(idsOf(await forUser({ filter: EVEN }))).toEqual(wanted);
      const byIndex = await forUser({ filter: EVEN, dim: 8 });
      expect(byIndex.served_by.plan).toBe('prefix');
      const exact = matching(await everything(8), EVEN).slice(0, K);
      expect(idsOf(byIndex).filter((id) => exact.includes(id)).length).toBeGreaterThanOrEqual(8);
      expect(matching(idsOf(byIndex), EVEN)).toHaveLength(K);
      const session = await recommender.recommendForSession({ items: HISTORY, k: K, filter: EVEN });
      expect(matching(idsOf(session), EVEN)).toHaveLength(K);
    });

    it('that lets little through gives all of it, exactly, without walking the index first', async () => {
      const wanted = matching(await everything(8), RARE);
      expect(wanted).toHaveLength(3);
      await forUser({ filter: RARE, dim: 8 });
      statements = 0;
      const answer = await forUser({ filter: RARE, dim: 8 });
      expect(idsOf(answer)).toEqual(wanted);
      expect(answer.served_by.plan).toBe('exact');
      // State and one search, as a request without a filter has; no attempt before it.
      const withFilter = statements;
      statements = 0;
      expect((await forUser({ dim: 8 })).served_by.plan).toBe('prefix');
      expect(withFilter).toBe(statements);
    });

    it('of ids ranks a list of the caller’s, also for a stranger', async () => {
      const ids = [100, 7, 1_500].map(itemIdOf);
      const filter: Filter = { field: 'item_id', in: ids };
      const wanted = (await everything()).filter((id) => ids.includes(id));
      expect(idsOf(await forUser({ filter }))).toEqual(wanted);
      const stranger = await forUser({ userId: 'stranger', filter });
      expect(idsOf(stranger).sort()).toEqual(ids.sort());
    });

    it('keeps nothing that is excluded', async () => {
      const best = idsOf(await forUser({ filter: EVEN }));
      const answer = await forUser({ filter: EVEN, exclude: best.slice(0, 4) });
      expect(idsOf(answer).slice(0, 6)).toEqual(best.slice(4));
      expect(answer.items).toHaveLength(K);
      const all = await everything();
      const rest = await forUser({ exclude: all.slice(0, 1_000) });
      expect(idsOf(rest)).toEqual(all.slice(1_000, 1_000 + K));
    });
  });

  describe('a boost', () => {
    it('gives the list that boosting every item gives, also where what it raises stood far below', async () => {
      const all = await forUser({ k: ITEMS });
      for (const [filter, factor] of [
        [RARE, 10],
        [EVEN, 2],
        [EVEN, 0.5],
      ] as const) {
        const wanted = all.items
          .map(({ item_id, score }) => ({
            item_id,
            score: score + (matchesFilter(byId.get(item_id)!, filter) ? Math.log(factor) : 0),
          }))
          .sort((a, b) => b.score - a.score)
          .slice(0, K);
        const answer = await forUser({ boosts: [{ filter, factor }] });
        expect(idsOf(answer)).toEqual(wanted.map(({ item_id }) => item_id));
        answer.items.forEach(({ score }, i) => expect(score).toBeCloseTo(wanted[i]!.score, 4));
      }
    });

    it('stays within the filter, and raises for a stranger too', async () => {
      const boosts = [{ filter: { field: 'fields.tags', eq: 'fizz' }, factor: 10 }];
      const answer = await forUser({ filter: CHEAP_EVEN, boosts });
      expect(matching(idsOf(answer), CHEAP_EVEN)).toHaveLength(K);
      const plain = await forUser({ userId: 'stranger' });
      const boosted = await forUser({ userId: 'stranger', boosts });
      const fizz = (one: RecommendationsAnswer) => matching(idsOf(one), boosts[0]!.filter).length;
      expect(fizz(boosted)).toBeGreaterThan(fizz(plain));
    });
  });

  describe('diversity', () => {
    it('makes lists less alike the more is asked, and begins with the best', async () => {
      const artifact = artifacts.get('v1')!;
      const { rows } = await database().query<{ item_id: string; embedding: string }>(
        'SELECT item_id, embedding::text FROM item_vectors_v1',
      );
      const vectors = new Map(
        rows.map((row) => [row.item_id, (JSON.parse(row.embedding) as number[]).slice(0, 4)]),
      );
      expect(artifact.itemIds).toHaveLength(vectors.size);
      const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
      const cosine = (a: number[], b: number[]) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
      const likeness = (answer: RecommendationsAnswer) => {
        const list = idsOf(answer).map((id) => vectors.get(id)!);
        const pairs = list.flatMap((a, i) => list.slice(i + 1).map((b) => cosine(a, b)));
        return pairs.reduce((sum, x) => sum + x, 0) / pairs.length;
      };
      const plain = await forUser();
      const off = await forUser({ diversity: 0 });
      const some = await forUser({ diversity: 0.5 });
      const much = await forUser({ diversity: 0.9 });
      expect(off).toEqual(plain);
      expect(some.items[0]).toEqual(plain.items[0]);
      expect(likeness(some)).toBeLessThan(likeness(plain));
      expect(likeness(much)).toBeLessThan(likeness(some));
    });
  });

  describe('pages', () => {
    const boosts = [
      { filter: EVEN, factor: 3 },
      { filter: RARE, factor: 0.2 },
    ];

    it('are the one long list, cut, and end where pages may end', async () => {
      const pages = await pagesOf({ k: 100 });
      const ids = pages.flatMap(idsOf);
      expect(ids).toEqual((await everything()).slice(0, MAX_PAGED_ITEMS));
      const ranks = pages.flatMap((page) => page.items.map(({ rank }) => rank));
      expect(ranks).toEqual(ids.map((_, i) => i + 1));
    });

    it('of a filter show every item that matches, once', async () => {
      const pages = await pagesOf({ k: 100, filter: CHEAP_EVEN });
      expect(pages.flatMap(idsOf)).toEqual(matching(await everything(), CHEAP_EVEN));
      expect(pages.at(-1)!.next).toBeNull();
    });

    it.each([
      ['boosts', { boosts }],
      ['diversity', { diversity: 0.4 }],
      ['a filter, boosts and diversity', { filter: EVEN, boosts, diversity: 0.4 }],
      ['no state to go by', { userId: 'stranger' }],
    ])('with %s repeat nothing and stay full', async (_name, request) => {
      const pages = await pagesOf({ k: 50, ...request });
      const ids = pages.flatMap(idsOf);
      expect(ids).toHaveLength(MAX_PAGED_ITEMS);
      expect(new Set(ids).size).toBe(ids.length);
      const again = await pagesOf({ k: 50, ...request });
      expect(again.flatMap(idsOf)).toEqual(ids);
    });

    it('repeat nothing while the user goes on acting, and follow what the user does', async () => {
      await interact('busy', ...HISTORY);
      let step = 0;
      const act = () => interact('busy', itemIdOf(40 + 97 * step++));
      const pages = await pagesOf({ userId: 'busy', k: 50 }, act);
      const ids = pages.flatMap(idsOf);
      expect(new Set(ids).size).toBe(ids.length);
      const still = await pagesOf({ userId: 'u', k: 50 });
      expect(ids.slice(0, 50)).toEqual(still.flatMap(idsOf).slice(0, 50));
      expect(ids).not.toEqual(still.flatMap(idsOf));
    });

    it('go on over a change of version, without an item of the pages before', async () => {
      const first = await forUser({ k: 50 });
      const other = makeArtifact({ version: 'v2', seed: 2, items: ITEMS });
      await publish(other);
      const db = database();
      const models = createPublishedModels({
        ...{ db, logger },
        loadArtifact: (version) => Promise.resolve(artifacts.get(version)!),
      });
      const renewed = createRecommender({ db, models, logger });
      const request = { userId: 'u', k: 50, dim: 4 };
      const fresh = await renewed.recommendForUser(request);
      const next = await renewed.recommendForUser({ ...request, cursor: first.next! });
      expect(next.served_by.model_version).toBe('v2');
      expect(next.items).toHaveLength(50);
      expect(idsOf(next).filter((id) => idsOf(first).includes(id))).toEqual([]);
      expect(idsOf(next).some((id) => idsOf(fresh).includes(id))).toBe(true);
    });

    it('after a cursor that is not ours are refused', async () => {
      await expect(forUser({ cursor: 'AAAA' })).rejects.toMatchObject({ code: 'invalid_request' });
    });
  });

  describe('because', () => {
    it('gives each item the events that brought it, and changes nothing else of the answer', async () => {
      const plain = await forUser();
      const answer = await forUser({ because: true });
      expect(idsOf(answer)).toEqual(idsOf(plain));
      expect(answer.served_by).toEqual(plain.served_by);
      const reasons = answer.items.flatMap((one) => one.because!);
      expect(reasons.length).toBeGreaterThan(0);
      for (const { item_id, event_id, at, contribution, share } of reasons) {
        expect(HISTORY).toContain(item_id);
        expect(event_id).toBe(`e${HISTORY.indexOf(item_id)}`);
        expect(at).toMatch(/^2026-01-01T/);
        expect(contribution).toBeGreaterThan(0);
        expect(share).toBeLessThanOrEqual(1);
      }
      expect(plain.items[0]).not.toHaveProperty('because');
    });

    it('says of a session what an answer without the item says', async () => {
      const dim = 8;
      const of = (items: string[], extra = {}) =>
        recommender.recommendForSession({ items, k: ITEMS, dim, excludeSeen: false, ...extra });
      const explained = await of(HISTORY, { because: true });
      const scores = new Map(explained.items.map((one) => [one.item_id, one.score]));
      let compared = 0;
      for (const left of HISTORY) {
        const without = await of(HISTORY.filter((id) => id !== left));
        for (const { item_id, score } of without.items) {
          const row = explained.items[explained.items.findIndex((o) => o.item_id === item_id)]!;
          const reason = row.because!.find((one) => one.item_id === left);
          if (reason === undefined) continue;
          expect(reason.contribution).toBeCloseTo(scores.get(item_id)! - score, 4);
          expect(reason).toMatchObject({ event_id: null, at: null });
          compared += 1;
        }
      }
      expect(compared).toBeGreaterThan(ITEMS);
    });

    it('is empty where nothing is known of the user', async () => {
      const answer = await forUser({ userId: 'stranger', because: true });
      expect(answer.items.map((one) => one.because)).toEqual(answer.items.map(() => []));
    });
  });
});
