/** Training by window and mode over the real database: what is read, what is kept, what the manifest says. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelExit, TrainingMode } from '@nestrec/contracts';
import {
  eraseUsers,
  erasuresAfter,
  insertInteractions,
  upsertItems,
  weightsErasures,
} from '@nestrec/storage';
import { publishVersion } from '@nestrec/publishing';
import { hashItemSide, loadArtifact } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import { selectBackend } from '@nestrec/tensor';
import { planTraining, readTrainingData, runTraining, type TrainingWindow } from '@nestrec/trainer';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { wipeAll } from '../helpers/state-verification.js';
import { tiersOf } from '../helpers/tiers-of.js';

const [USERS, ITEMS] = [24, 12];
const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);
const READ = { textWidth: 6, seed: 1 };

let folder: string;
beforeAll(async () => {
  await selectBackend({ force: 'cpu' });
  folder = await mkdtemp(join(tmpdir(), 'nestrec-modes-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const event = (user: string, n: number, item: string) => ({
  ...{ eventId: `${user}-${n}`, userId: user, itemId: item, type: 'view', value: null },
  timestampMs: START_MS + n * DAY_MS,
});
const item = (id: string) => ({ item_id: id, available: true, title: `Blue thing ${id}` });

describeDatabases('training', (database) => {
  const fill = async () => {
    const users = Array.from({ length: USERS }, (_, user) => user);
    await insertInteractions(
      database(),
      users.flatMap((user) =>
        [0, 1, 2, 3, 4].map((n) => event(`u${user}`, n, `i${(user + n) % ITEMS}`)),
      ),
    );
    await upsertItems(
      database(),
      Array.from({ length: ITEMS }, (_, i) => item(`i${i}`)),
    );
  };
  beforeEach(async () => {
    await wipeAll(database());
    await database().execute('TRUNCATE erased_users, erased_events, erasures, item_popularity');
    await fill();
  });
  const train = async (
    version: string,
    mode: TrainingMode,
    startFrom?: string,
    shape: { blocks?: number; exits?: ModelExit[] } = {},
  ) => {
    const db = database();
    const name = `${version}_${db.kind}`;
    const plan = await planTraining(db, {
      ...{ mode, preset: 'fast', startFrom, overrides: { maxEpochs: 1 } },
      ...(mode === 'full' ? { sizes: [4, 8] } : {}),
      ...shape,
    });
    const manifest = await runTraining({
      ...{
        db,
        modelsDir: folder,
        checkpointsDir: join(folder, 'checkpoints', name),
        version: name,
      },
      ...{ ...plan, ...READ, protocol: 'leave-one-out', commit: null },
    });
    return { name, manifest, artifact: await loadArtifact(join(folder, name)) };
  };
  const publish = async ({ name, artifact }: Awaited<ReturnType<typeof train>>) =>
    publishVersion({
      ...{ db: database(), artifact, path: join(folder, name), tiers: tiersOf(null) },
      ...{ logger: silentLogger(), recallQueries: 2, minRecall: 0, force: true },
    });
  const read = (window: TrainingWindow) => readTrainingData(database(), { ...READ, window });

  it('reads the window that is asked for, of each user the newest events up to the cap, and counts the rest', async () => {
    await insertInteractions(
      database(),
      Array.from({ length: 50 }, (_, n) => event('bot', n - 45, `i${n % ITEMS}`)),
    );
    const capped = await read({ maxEventsPerUser: 7 });
    expect(capped).toMatchObject({ sinceMs: null, cappedEvents: 43 });
    expect(capped.dataset.items.length).toBe(USERS * 5 + 7);
    const last = await read({ durationMs: DAY_MS });
    expect(last).toMatchObject({ sinceMs: START_MS + 3 * DAY_MS, fromMs: START_MS + 3 * DAY_MS });
    expect(last.dataset.items.length).toBe(USERS * 2 + 2);
    const since = await read({
      sinceMs: START_MS,
      durationMs: 1_000 * DAY_MS,
      maxEventsPerUser: 0,
    });
    expect(since.dataset.items.length).toBe((USERS + 1) * 5);
    await expect(read({ sinceMs: START_MS + 9 * DAY_MS })).rejects.toThrow(/none in the window/);
  });

  it('of the query side keeps items, features and encoder, publishes without new vectors, and repeats', async () => {
    const first = await train('base', 'full');
    await publish(first);
    await insertInteractions(database(), [event('u1', 9, 'unheard'), event('u2', 9, 'i3')]);
    await upsertItems(database(), [item('unheard'), { ...item('i3'), title: 'Another name' }]);
    const query = await train('query', 'query_only');
    expect(query.manifest).toMatchObject({
      origin: { mode: 'query_only', startedFrom: first.name },
      data: { unknownItemEvents: 1, items: ITEMS },
    });
    expect(hashItemSide(query.artifact)).toBe(hashItemSide(first.artifact));
    const again = await train('query_again', 'query_only', first.name);
    expect(weights(again.artifact)).toBe(weights(query.artifact));
    expect(weights(query.artifact)).not.toBe(weights(first.artifact));
    expect(await publish(query)).toMatchObject({ vectorsVersion: first.name });
  });

  it('goes on with parameters: known items keep theirs, new ones come in, those that nothing speaks of go', async () => {
    await insertInteractions(database(), [event('u1', 7, 'gone'), event('u2', 7, 'gone')]);
    const first = await train('start', 'full');
    await publish(first);
    await database().execute(
      `DELETE FROM interactions WHERE item_id = 'gone'; TRUNCATE item_popularity`,
    );
    await insertInteractions(database(), [event('u1', 9, 'fresh'), event('u2', 9, 'fresh')]);
    const next = await train('next', 'incremental');
    expect(next.manifest.origin).toMatchObject({ mode: 'incremental', startedFrom: first.name });
    expect(new Set(next.artifact.itemIds)).toEqual(
      new Set([...first.artifact.itemIds.filter((id) => id !== 'gone'), 'fresh']),
    );
    expect(next.manifest.features).toEqual(first.manifest.features);
    expect(next.artifact.encoder!.toArrays()).toEqual(first.artifact.encoder!.toArrays());
    const again = await train('next_again', 'incremental', first.name);
    expect(weights(again.artifact)).toBe(weights(next.artifact));
    const other = { mode: 'incremental' as const, preset: 'fast' as const, sizes: [4, 16] };
    await expect(planTraining(database(), other)).rejects.toThrow(/got 4, 16.*has 4, 8/);
    await upsertItems(database(), [{ ...item('i1'), features: { text: [1, 2, 3] } }]);
    await expect(train('misfit', 'incremental')).rejects.toThrow(
      /its own text encoder.*Train in full/,
    );
  });

  it('with an exit measures it and judges tiers by it; those that go on with it keep it, or give it up', async () => {
    const deep = { blocks: 2, exits: [{ blocks: 1, dim: 4 }] };
    const first = await train('deep', 'full', undefined, deep);
    const exitRows = first.manifest.quality.filter(({ blocks }) => blocks === 1);
    expect(exitRows.map(({ scorer }) => scorer)).toEqual(new Array(4).fill('exit1@4'));
    expect(first.manifest.epochs![0]).toMatchObject({
      bySize: { '4': expect.any(Number) as number, '8': expect.any(Number) as number },
      byExit: [{ blocks: 1, bySize: { '4': expect.any(Number) as number } }],
    });
    const ndcg = (sizes: { dim: number | null; ndcg10: { mean: number } | null }[]) =>
      sizes.map(({ dim, ndcg10 }) => [dim, ndcg10!.mean]);
    const { exits, sizes } = first.manifest.evaluation!;
    expect(exits!.map(({ blocks }) => blocks)).toEqual([1]);
    const test = exitRows.find(({ part, seenMasked }) => part === 'test' && seenMasked)!;
    const [small, whole] = ndcg(exits![0]!.sizes);
    expect(small![1]).toBeCloseTo(test.metrics['ndcg@10']!, 10);
    // Not trained at the exit: the full depth's.
    expect(whole).toEqual(ndcg(sizes)[1]);
    await publish(first);
    const next = await train('deep_next', 'incremental');
    expect(next.manifest.config.exits).toEqual(deep.exits);
    // The published model is compared at its exit, with which these tiers are served now.
    const [compared] = next.manifest.evaluation!.exits!;
    expect(compared!.sizes[0]!.published).toBeCloseTo(test.metrics['ndcg@10']!, 6);
    const without = await train('deep_without', 'incremental', undefined, { exits: [] });
    expect(without.manifest.config).not.toHaveProperty('exits');
    expect(without.manifest.quality.some(({ blocks }) => blocks !== undefined)).toBe(false);
    expect(without.manifest.evaluation!.exits![0]!.sizes[0]).toMatchObject({
      ndcg10: without.manifest.evaluation!.sizes[0]!.ndcg10,
      published: compared!.sizes[0]!.published,
    });
    const wrong = { mode: 'full', preset: 'paper', sizes: [4, 8] } as const;
    const bad = { ...wrong, exits: [{ blocks: 1, dim: 5 }] };
    await expect(planTraining(database(), bad)).rejects.toThrow(
      /exits\.0\.blocks: wanted fewer than the 1 .*exits\.0\.dim: wanted one of the sizes.* 4, 8/,
    );
  });

  it('has no event of an erased user in it, says so in the manifest, and which erasures came later', async () => {
    const erase = (userId: string, offset: number) =>
      database().transaction(async (tx) => {
        const erasedBeforeMs = START_MS + 99 * DAY_MS;
        const { removed } = await eraseUsers(tx, new Map([[userId, { erasedBeforeMs }]]));
        await tx.query(
          `INSERT INTO erasures VALUES ('t', 0, $1, sha256($2::bytea), 'user', now(), now(), $3, 0, 0)`,
          [offset, new TextEncoder().encode(userId), removed.get(userId)!.events],
        );
        await tx.query(
          `INSERT INTO consumer_positions (topic, partition, next_offset) VALUES ('t', 0, $1)
           ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset`,
          [offset + 1],
        );
      });
    await erase('u3', 10);
    const { manifest } = await train('erased', 'full');
    expect(manifest.data).toMatchObject({ users: USERS - 1, interactions: (USERS - 1) * 5 });
    const proof = manifest.data.erasures!;
    expect(proof).toMatchObject({
      users: 1,
      positions: [{ topic: 't', partition: 0, nextOffset: '11' }],
    });
    const later = () => erasuresAfter(database(), proof);
    expect(await later()).toEqual({ users: 0, events: 0, withEvents: 0, firstAtMs: null });
    await erase('u4', 11);
    await erase('nobody', 12);
    expect(await later()).toMatchObject({ users: 2, withEvents: 1 });
    const next = await train('erased_next', 'full');
    expect(next.manifest.data.erasures).toMatchObject({ users: 3 });
    expect(await erasuresAfter(database(), next.manifest.data.erasures!)).toMatchObject({
      users: 0,
    });
    // A warm start learns nothing of them, but inherits what was learned before.
    const warm = await train('erased_warm', 'incremental', `erased_${database().kind}`);
    expect(warm.manifest.data.erasures).toMatchObject({ users: 3 });
    expect(weightsErasures(warm.manifest)).toEqual(proof);
    expect(weightsErasures(next.manifest)).toEqual(next.manifest.data.erasures);
  });
});

const weights = ({ manifest }: { manifest: { files: { name: string; sha256: string }[] } }) =>
  manifest.files.find(({ name }) => name === 'weights.safetensors')!.sha256;
