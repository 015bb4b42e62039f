/**
 * Item vectors that change after states took them in: exactly those states are out of date that remember
 * such an item, and ingest and api make them anew at the next touch (decision 0020).
 */
import type { Database } from '@nestrec/database';
import { createPublishedModels, createRecommender } from '@nestrec/retrieval';
import { silentLogger } from '@nestrec/runtime';
import { deleteUserStates, getUserState, upsertItems, upsertUserStates } from '@nestrec/storage';
import { selectBackend } from '@nestrec/tensor';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { catalogueItem, itemIdOf, makeArtifact } from '../helpers/published-artifact.js';
import { ingestOf, publish, putItem, verify, wipeAll } from '../helpers/state-verification.js';

beforeAll(() => selectBackend({ force: 'cpu' }));

const anotherTitle = (index: number, title = 'violet easel') => ({
  ...catalogueItem(index),
  title,
});

describeDatabases('a state, when the catalogue changes,', (database) => {
  let db: Database;
  beforeAll(() => {
    db = database();
  });
  beforeEach(() => wipeAll(db));

  const start = async () => {
    const artifact = makeArtifact({ version: 'v1' });
    await upsertItems(
      db,
      Array.from({ length: 60 }, (_, index) => catalogueItem(index)),
    );
    await publish(db, artifact);
    const run = await ingestOf(db, [artifact], { settings: { verifyIntervalMs: 0 } });
    for (let n = 0; n < 5; n++) {
      await run.events(
        { id: `a${n}`, user: 'a', item: itemIdOf(n), ago: 20 - n },
        { id: `b${n}`, user: 'b', item: itemIdOf(n + 20), ago: 20 - n },
      );
    }
    return { artifact, run };
  };
  const stale = async (userId: string) => (await getUserState(db, userId))!.vectorsStale;

  it('is rebuilt at the next touch if it remembers the changed item, and stepped if it does not', async () => {
    const { artifact, run } = await start();
    // Another process writes it: this ingest has the old vector in its cache, and is told nothing.
    await putItem(db, [artifact], anotherTitle(3));
    expect([await stale('a'), await stale('b')]).toEqual([true, false]);
    expect(await verify(db, artifact)).toMatchObject({
      ...{ passed: true, findings: { vectors_replaced: 1, same: 1 } },
    });
    const [rebuilt, stepped] = [
      await run.metric('rec_states_updated_total{way="rebuild"}'),
      await run.metric('rec_states_updated_total{way="step"}'),
    ];
    await run.events(
      { id: 'a5', user: 'a', item: itemIdOf(7), ago: 1 },
      { id: 'b5', user: 'b', item: itemIdOf(7), ago: 1 },
    );
    expect(await run.metric('rec_states_updated_total{way="rebuild"}')).toBe(rebuilt + 1);
    expect(await run.metric('rec_states_updated_total{way="step"}')).toBe(stepped + 1);
    expect(await verify(db, artifact)).toMatchObject({ passed: true, findings: { same: 2 } });
    // What was looked through is not looked through again.
    expect((await getUserState(db, 'b'))!.vectorsRevision).toBe(
      (await getUserState(db, 'a'))!.vectorsRevision,
    );
  });

  it('takes the new vector with the next event of the item, though the old one was cached', async () => {
    const { artifact, run } = await start();
    await putItem(db, [artifact], anotherTitle(3));
    await run.events({ id: 'c0', user: 'c', item: itemIdOf(3), ago: 1 });
    expect(await verify(db, artifact)).toMatchObject({ passed: true, findings: { same: 2 } });
    await putItem(db, [artifact], anotherTitle(3, 'white drum'));
    expect([await stale('a'), await stale('b'), await stale('c')]).toEqual([true, false, true]);
  });

  it('would be called wrong, were the change not written down', async () => {
    const { artifact } = await start();
    await putItem(db, [artifact], anotherTitle(3));
    await db.query('DELETE FROM item_vector_changes');
    expect(await verify(db, artifact)).toMatchObject({ passed: false, mismatches: 1 });
  });

  it('does not mind new items, deleted ones, nor an item written again as it was', async () => {
    const { artifact, run } = await start();
    await putItem(db, [artifact], { item_id: 'new', title: 'red lamp', available: true });
    await putItem(db, [artifact], catalogueItem(3));
    // The second writing settles what the trained and the catalogue's arithmetic round differently.
    await run.events({ id: 'a5', user: 'a', item: itemIdOf(7), ago: 1 });
    await putItem(db, [artifact], { ...catalogueItem(3), available: false });
    expect([await stale('a'), await stale('b')]).toEqual([false, false]);
    expect(await verify(db, artifact)).toMatchObject({ passed: true, findings: { same: 2 } });
  });

  it('does not mind changes of items that it has forgotten', async () => {
    const { artifact, run } = await start();
    const { replayEvents } = artifact.manifest;
    for (let n = 0; n < replayEvents; n++) {
      await run.events({ id: `x${n}`, user: 'a', item: itemIdOf(40 + (n % 20)), ago: 2 });
    }
    await putItem(db, [artifact], anotherTitle(4));
    expect(await stale('a')).toBe(false);
    await putItem(db, [artifact], anotherTitle(40));
    expect(await stale('a')).toBe(true);
  });

  it('is out of date as a whole when the vectors of its version are made anew', async () => {
    const { artifact, run } = await start();
    await publish(db, artifact);
    expect(await stale('a')).toBe(false);
    const versions = ['v2', 'v3', 'v4'].map((version, n) =>
      makeArtifact({ version, seed: n + 2, createdAt: `202${n + 1}-01-01T00:00:00.000Z` }),
    );
    for (const next of versions) await publish(db, next);
    await publish(db, artifact);
    expect([await stale('a'), await stale('b')]).toEqual([true, true]);
    await run.events({ id: 'a5', user: 'a', item: itemIdOf(7), ago: 1 });
    expect(await verify(db, artifact)).toMatchObject({
      ...{ passed: true, findings: { vectors_replaced: 1, same: 1 } },
    });
  });

  it('is rebuilt by the api in memory: the answer is that of the new vectors at once', async () => {
    const { artifact } = await start();
    const open = () => {
      const models = createPublishedModels({
        ...{ db, logger: silentLogger(), pollMs: 0 },
        loadArtifact: () => Promise.resolve(artifact),
      });
      const recommender = createRecommender({ db, models, logger: silentLogger() });
      return async () => {
        const request = { userId: 'a', k: 20, dim: 16, excludeSeen: false };
        return (await recommender.recommendForUser(request)).items;
      };
    };
    const answer = open();
    const row = (await getUserState(db, 'a'))!;
    // Twice, so that a vector that the api has read and kept is replaced too.
    for (const title of ['violet easel', 'white drum']) {
      await putItem(db, [artifact], anotherTitle(4, title));
      const answered = await answer();
      // What an api that knows nothing yet makes of the events alone.
      await deleteUserStates(db, ['a']);
      const wanted = await open()();
      await upsertUserStates(db, [row]);
      expect(answered).toEqual(wanted);
      // With the state taken for current, it would have been another answer.
      await db.query('UPDATE user_states SET vectors_revision = 1000000');
      expect(await answer()).not.toEqual(wanted);
      await upsertUserStates(db, [row]);
    }
  });
});
