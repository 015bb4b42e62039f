/** The quality gate on both databases: from a training's held-out cases to what is served, and what is on record. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Estimate, Evaluation } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { BackendUnavailable } from '@nestrec/errors';
import { publishVersion, type PublishOptions } from '@nestrec/publishing';
import { createRandom } from '@nestrec/random';
import { loadArtifact, type Artifact } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import {
  getPublished,
  insertInteractions,
  itemVectorsTable,
  listItemVectorTables,
  newestPublishReport,
  newestPublishReports,
  upsertItems,
} from '@nestrec/storage';
import { selectBackend } from '@nestrec/tensor';
import { createSettings } from '@nestrec/training';
import { measureCandidate, runTraining, type TrainingRunOptions } from '@nestrec/trainer';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';
import { makeArtifact } from '../helpers/published-artifact.js';
import { rolledBack } from '../helpers/rolled-back.js';
import { tiersOf } from '../helpers/tiers-of.js';

const logger = silentLogger();

let folder: string;
beforeAll(async () => {
  await selectBackend({ force: 'wasm' });
  folder = await mkdtemp(join(tmpdir(), 'nestrec-quality-gate-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const at = (mean: number, half = 0.001): Estimate => ({
  ...{ mean, low: mean - half, high: mean + half },
});

/** NDCG@10 of .1 for the published model at every size, `by` more for the candidate, .05 for popularity. */
function compared(against: string | null, by = 0, overPopularity = 0.05 + by): Evaluation {
  return {
    ...{ protocol: 'leave-one-out', validationFrom: null, testFrom: null, against },
    ...{ cases: 900, users: 900, comparedCases: 900, comparedUsers: 900 },
    sizes: [4, 8, 16].map((dim) => ({
      ...{ limit: dim, dim, publishedDim: against === null ? null : dim },
      ...{ ndcg10: at(0.1 + by), recall10: at(0.2 + by) },
      ...{ popularity: 0.05, overPopularity: at(overPopularity) },
      published: against === null ? null : 0.1,
      overPublished: against === null ? null : at(by),
    })),
  };
}

function candidate(version: string, evaluation: Evaluation): Artifact {
  const artifact = makeArtifact({ version });
  return { ...artifact, manifest: { ...artifact.manifest, evaluation } };
}

async function wipe(db: Database): Promise<void> {
  await db.execute(
    'TRUNCATE interactions, items, published_model, model_versions, publish_reports CASCADE',
  );
  for (const version of await listItemVectorTables(db)) {
    await db.execute(`DROP TABLE ${itemVectorsTable(version)}`);
  }
}

describeDatabases('the quality gate', (database) => {
  const publish = (artifact: Artifact, extra: Partial<PublishOptions> = {}) =>
    publishVersion({
      ...{ db: database(), artifact, path: 'unused', tiers: tiersOf(4, null), logger },
      ...{ recallQueries: 5, minRecall: 0, ...extra },
    });
  const refusal = (artifact: Artifact, extra: Partial<PublishOptions> = {}) =>
    publish(artifact, extra).then(
      () => 'published',
      (error: { code: string; detail: string }) => `${error.code}: ${error.detail}`,
    );
  const served = async () => (await getPublished(database()))?.version ?? null;

  describe('judges by what an artifact brings', () => {
    beforeEach(() => wipe(database()));

    it('a first version by popularity alone, and keeps the verdict with what the indexes measured', async () => {
      expect(await refusal(candidate('poor', compared(null, 0, -0.01)))).toMatch(
        /^publish_refused: tiers up to 4: .*wanted more than popularity; tiers without limit: /,
      );
      expect(await served()).toBeNull();
      const { report } = await publish(candidate('v1', compared(null)));
      expect(report).toEqual(await newestPublishReport(database(), 'v1'));
      expect(report).toMatchObject({
        ...{ version: 'v1', outcome: 'published', against: null, forced_by: null, reasons: [] },
        ...{ cases: 900, users: 900, margin: 0.05, min_recall: 0 },
        tiers: [
          { max_dim: 4, dim: 4, verdict: 'passed', ndcg_at_10: at(0.1), popularity: 0.05 },
          { max_dim: null, dim: 16, verdict: 'passed', published: null },
        ],
        indexes: [{ dim: 4 }, { dim: 16 }],
      });
      expect(report!.indexes.every(({ bytes }) => bytes > 0)).toBe(true);
    });

    it('a worse one is refused tier by tier with its reasons, and what is served stays as it was', async () => {
      await publish(candidate('v1', compared(null)));
      const text = await refusal(candidate('worse', compared('v1', -0.02)));
      expect(text).toMatch(/tiers up to 4: NDCG@10 at 4 is 0\.0800 .*difference of -0\.0200/);
      expect(text).toMatch(
        /tiers without limit: .*allowed is -0\.0050 \(5 %\): worse beyond doubt/,
      );
      expect(await served()).toBe('v1');
      expect(await listItemVectorTables(database())).toEqual(['v1']);
      const reports = await newestPublishReports(database());
      expect(reports.get('worse')).toMatchObject({
        ...{ outcome: 'refused', against: 'v1', forced_by: null },
        tiers: [{ verdict: 'failed' }, { verdict: 'failed' }],
      });
      expect(reports.get('worse')!.reasons).toHaveLength(2);
      expect(reports.get('v1')).toMatchObject({ outcome: 'published' });
    });

    it('force publishes it, and who forced what stays on record', async () => {
      await publish(candidate('v1', compared(null)));
      const worse = candidate('worse', compared('v1', -0.02));
      const { report } = await publish(worse, { force: true, forcedBy: 'ann (command line)' });
      expect(await served()).toBe('worse');
      expect(report).toMatchObject({ outcome: 'published', forced_by: 'ann (command line)' });
      expect(report!.reasons).toHaveLength(2);
      // Nobody had to force what passes.
      const better = await publish(candidate('v3', compared('worse', 0.01)), { force: true });
      expect(better.report).toMatchObject({ forced_by: null, reasons: [] });
    });

    it('an index that finds too little is on record as well', async () => {
      await publish(candidate('v1', compared(null)));
      await refusal(candidate('v2', compared('v1')), { minRecall: 1.01 });
      expect(await newestPublishReport(database(), 'v2')).toMatchObject({
        outcome: 'refused',
        reasons: [expect.stringMatching(/the index of v2 at 4 dimensions .*finds/) as unknown],
      });
      expect(await served()).toBe('v1');
    });
  });

  describe('where nothing was ever measured', () => {
    beforeEach(() => wipe(database()));
    const bare = (version: string) => makeArtifact({ version, ndcg: null });
    /** Who publishes: the API cannot measure, the command line can, and finds no cases or no backend. */
    const publishers: [string, Partial<PublishOptions>, RegExp][] = [
      ['the API', {}, /it was never asked its held-out cases/],
      [
        'the command line',
        { measure: async () => null },
        /the database holds none of its held-out/,
      ],
      [
        'the command line without a backend',
        { measure: () => Promise.reject(new BackendUnavailable({ detail: 'no library' })) },
        /it cannot be compared with \w+: no library/,
      ],
    ];

    it.each(publishers)(
      '%s publishes a first version, and says that nobody judged it',
      async (_, by, why) => {
        const { report } = await publish(bare('v1'), by);
        expect(report).toMatchObject({
          ...{ outcome: 'published', against: null, forced_by: null, reasons: [] },
          ...{ cases: null, users: null },
          tiers: [
            { max_dim: 4, dim: 4, verdict: 'unknown', ndcg_at_10: null },
            { max_dim: null, dim: 16, verdict: 'unknown', published: null },
          ],
        });
        for (const { reason } of report!.tiers) {
          expect(reason).toMatch(/: not evaluated, the gate could not judge: /);
          expect(reason).toMatch(why);
          expect(reason).toMatch(/; nothing is published that it would replace$/);
        }
        expect(await newestPublishReport(database(), 'v1')).toEqual(report);
      },
    );

    it.each(publishers)(
      '%s refuses one that would replace another, unless it is forced',
      async (_, by, why) => {
        await publish(candidate('v1', compared(null)));
        const text = await refusal(bare('v2'), by);
        expect(text).toMatch(/^publish_refused: /);
        expect(text).toMatch(why);
        expect(text).toMatch(/force it/);
        expect(await served()).toBe('v1');
        expect(await newestPublishReport(database(), 'v2')).toMatchObject({
          ...{ outcome: 'refused', reasons: [expect.stringMatching(why) as unknown] },
          tiers: [{ verdict: 'unknown' }, { verdict: 'unknown' }],
        });
        const { report } = await publish(bare('v2'), { ...by, force: true, forcedBy: 'ann' });
        expect(report).toMatchObject({ outcome: 'published', forced_by: 'ann' });
        expect(report!.reasons).toHaveLength(1);
        expect(await served()).toBe('v2');
      },
    );

    it('goes by the figures of both manifests where they have any, and says so', async () => {
      await publish(makeArtifact({ version: 'v1', ndcg: 0.1 }));
      const { report } = await publish(makeArtifact({ version: 'v2', ndcg: 0.095 }));
      expect(report!.tiers[0]!.reason).toMatch(
        /could not judge: .*; by the figures of the manifests ndcg@10 on validation cases .* is 0\.0950/,
      );
      expect(await refusal(makeArtifact({ version: 'v3', ndcg: 0.05 }))).toMatch(
        /is 0\.0500, the published v2 has 0\.0950, wanted at least 0\.0855; train longer/,
      );
    });

    const handful = (against: string | null, by: number): Evaluation => ({
      ...compared(against, by),
      ...{ cases: 7, users: 3, comparedCases: 7, comparedUsers: 3 },
    });

    it('refuses what a handful of users judged in place of what many did, unless it is forced', async () => {
      await publish(candidate('v1', compared(null)));
      const few = candidate('v2', handful('v1', 0.02));
      expect(await refusal(few)).toMatch(
        /only 3 users have held-out events, wanted 20, .*v1, which it would replace, was judged by 900; /,
      );
      expect(await served()).toBe('v1');
      expect(await newestPublishReport(database(), 'v2')).toMatchObject({ outcome: 'refused' });
      const { report } = await publish(few, { force: true, forcedBy: 'ann' });
      expect(report).toMatchObject({ outcome: 'published', forced_by: 'ann', users: 3 });
      expect(await served()).toBe('v2');
    });

    it('says plainly that a handful of users is too few to judge by, and takes it where no more judged before', async () => {
      await publish(candidate('v1', handful(null, 0)));
      const { report } = await publish(candidate('v2', handful('v1', -0.02)));
      expect(report).toMatchObject({
        ...{ outcome: 'published', cases: 7, users: 3, reasons: [] },
        tiers: [{ verdict: 'unknown' }, { verdict: 'unknown' }],
      });
      expect(report!.tiers[1]!.reason).toBe(
        'tiers without limit: the gate could not judge: only 3 users have held-out events, wanted 20, ' +
          'for the mean of so few is chance; the published v1 was judged by as few (3)',
      );
    });
  });

  describe('when another version is published by now than the candidate was compared with', () => {
    beforeEach(async () => {
      await wipe(database());
      await publish(candidate('v1', compared(null)));
      await publish(candidate('v2', compared('v1')));
    });
    const late = candidate('late', compared('v1'));

    it('asks again, against that version, and goes by what comes out', async () => {
      const asked: (string | null)[] = [];
      const measure = async (_artifact: Artifact, against: string | null) => {
        asked.push(against);
        return compared(against, -0.02);
      };
      expect(await refusal(late, { measure })).toMatch(/the published v2 has 0\.1000/);
      expect(asked).toEqual(['v2']);
      await rolledBack(database());
      // Gone back to what it was compared with: nothing to ask.
      await publish(late, { measure });
      expect([asked, await served()]).toEqual([['v2'], 'late']);
    });

    it('is refused with the cure where nobody can ask again, or no case is left', async () => {
      const compared = /it was compared with v1, but v2 is published now/;
      const without = await refusal(late);
      expect(without).toMatch(compared);
      expect(without).toContain('have it compared anew by `nestrec publish`');
      expect(await refusal(late, { measure: async () => null })).toMatch(
        /the database holds none of its held-out cases any more; train anew, or force it/,
      );
      expect(await served()).toBe('v2');
      await publish(late, { force: true });
      expect(await served()).toBe('late');
    });
  });

  describe('asks the held-out cases of a training', () => {
    const USERS = 120;
    const ITEMS = 24;
    const random = createRandom(3);
    const starts = Array.from({ length: USERS }, () => random.int(ITEMS));
    const event = (user: number, n: number) => ({
      ...{
        eventId: `e${user}-${n}`,
        userId: `u${user}`,
        itemId: `i${(starts[user]! + n) % ITEMS}`,
      },
      ...{ type: 'view', value: null },
      timestampMs: Date.UTC(2026, 0, 1) + user * 1_000 + n * 86_400_000,
    });
    const train = (version: string, change: Partial<TrainingRunOptions> = {}) =>
      runTraining({
        ...{ db: database(), modelsDir: join(folder, database().kind), version },
        checkpointsDir: join(folder, database().kind, 'checkpoints'),
        config: { sizes: [4, 16], blocks: 1 },
        settings: createSettings('fast', [4, 16], { maxEpochs: 12 }),
        ...{ protocol: 'leave-one-out', commit: null, textWidth: 8, seed: 1, ...change },
      });
    const pathOf = (version: string) => join(folder, database().kind, version);
    const load = (version: string) => loadArtifact(pathOf(version));
    const spill = () => ({ folder });

    it('beside what is published, the same cases for both, whenever it is asked', async () => {
      const db = database();
      await wipe(db);
      const users = Array.from({ length: USERS }, (_, user) => user);
      await insertInteractions(
        db,
        users.flatMap((user) => Array.from({ length: 6 }, (_, n) => event(user, n))),
      );
      await upsertItems(
        db,
        Array.from({ length: ITEMS }, (_, i) => ({
          ...{ item_id: `i${i}`, available: true, title: `Thing ${i} of ${i % 5}` },
        })),
      );
      const first = await train('first');
      expect(first.evaluation).toMatchObject({
        ...{ against: null, cases: USERS, users: USERS, comparedCases: 0 },
        sizes: [
          { limit: 4, dim: 4, overPublished: null },
          { limit: 16, dim: 16, overPublished: null },
        ],
      });
      const tested = first.quality.find(
        (row) => row.scorer === 'model@16' && row.part === 'test' && row.seenMasked,
      )!;
      expect(first.evaluation!.sizes[1]!.ndcg10!.mean).toBeCloseTo(tested.metrics['ndcg@10']!, 12);
      await publish(await load('first'), { path: pathOf('first') });
      expect(await served()).toBe('first');

      // As it is served, by its vectors in the database, a model ranks as it did when it was trained.
      const itself = await measureCandidate(db, await load('first'), 'first', spill());
      expect(itself!.sizes.map((size) => size.ndcg10)).toEqual(
        first.evaluation!.sizes.map((size) => size.ndcg10),
      );
      expect(itself!).toMatchObject({ against: 'first', comparedCases: USERS });
      for (const size of itself!.sizes) {
        expect(size.overPublished!.mean).toBeCloseTo(0, 6);
        expect(size.published).toBeCloseTo(size.ndcg10!.mean, 6);
      }

      // One that learnt nothing is compared in its training, refused, and compared no other way later.
      const settings = createSettings('fast', [4, 8], { maxEpochs: 1 });
      const bad = await train('bad', {
        config: { sizes: [4, 8], blocks: 1 },
        settings: { ...settings, itemStart: 'drawn', learningRate: 1e-9 },
      });
      expect(bad.evaluation).toMatchObject({ against: 'first', comparedUsers: USERS });
      expect(
        bad.evaluation!.sizes.map((size) => [size.limit, size.dim, size.publishedDim]),
      ).toEqual([
        [4, 4, 4],
        [8, 8, 4],
        [16, 8, 16],
      ]);
      const again = await measureCandidate(db, await load('bad'), 'first', spill());
      expect(again).toEqual(bad.evaluation);
      expect(await refusal(await load('bad'), { path: pathOf('bad') })).toMatch(
        /^publish_refused: tiers .*(worse beyond doubt|wanted more than popularity)/,
      );
      expect(await served()).toBe('first');

      // A temporal candidate is compared on what a leave-one-out model cannot have been trained on: nothing yet.
      const temporal = await train('temporal', { protocol: 'temporal' });
      expect(temporal.evaluation).toMatchObject({ against: 'first', comparedCases: 0 });
      expect(temporal.evaluation!.validationFrom).toMatch(/^2026-/);
      const measured = await measureCandidate(db, await load('temporal'), null, spill());
      expect(measured).toMatchObject({
        ...{ against: null, cases: temporal.evaluation!.cases },
        testFrom: temporal.evaluation!.testFrom,
      });

      // A published model that cannot be read loses no training, and its successor no explanation.
      await db.query(`UPDATE model_versions SET path = 'gone' WHERE version = 'first'`);
      const stages: string[] = [];
      const blind = await train('blind', { onStage: (stage) => stages.push(stage) });
      expect(blind.evaluation!.against).toBeNull();
      expect(stages.join('\n')).toMatch(/The published first cannot be compared: .*gone/);
      const measure = (artifact: Artifact, against: string | null) =>
        measureCandidate(db, artifact, against, spill());
      expect(await refusal(await load('blind'), { measure })).toMatch(
        /cannot be compared with first: .*gone/,
      );
      // Nobody's events, no cases.
      await db.execute('TRUNCATE interactions');
      expect(await measureCandidate(db, await load('first'), null, spill())).toBeNull();
    });
  });
});
