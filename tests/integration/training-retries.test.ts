/**
 * What becomes of a training that failed by what time cures: it is tried again, a number of times, and goes on with
 * the version that it may have trained already. What the checks refused is refused once.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { presentTrainingRun } from '@nestrec/api';
import type { Database } from '@nestrec/database';
import { rollback } from '@nestrec/publishing';
import { createMetrics, silentLogger, systemClock } from '@nestrec/runtime';
import {
  cancelTrainingRun,
  claimTrainingRun,
  endTrainingRun,
  getPublished,
  getTrainingRun,
  listTrainingRuns,
  queueTrainingRun,
  type TrainingRequest,
} from '@nestrec/storage';
import {
  createTrainer,
  createTrainerMetrics,
  createTrainingWorker,
  type JobResult,
  type JobSettings,
  type TrainingJob,
} from '@nestrec/trainer';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { followRun } from '../../services/cli/src/follow-run.js';
import type { AdminRequest } from '../../services/cli/src/running-server.js';
import { runTrainingJob, type JobContext } from '../../services/trainer/src/training-job.js';
import { describeDatabases } from '../helpers/databases.js';
import { publishModel, saveModel } from '../helpers/published-model.js';
import { wipeAll } from '../helpers/state-verification.js';
import { waitFor } from '../helpers/wait-for.js';

const logger = silentLogger();
const settings = (folder: string): JobSettings => ({
  ...{ databaseUrl: null, allowUnsafeDurability: true, modelsDir: folder, checkpointsDir: folder },
  ...{ cacheDir: folder, backend: null, trainWorkers: 1, trainNice: 0, eventsInMemory: 1_000 },
  ...{ keepVersions: 2, shortlistForm: 'halfvec', logLevel: 'fatal' },
});
const away = {
  kind: 'failed',
  code: 'database_unavailable',
  reason: 'a lock',
  retryable: true,
} as const;
const broken: JobResult = {
  ...{ kind: 'failed', code: 'insufficient_data', reason: 'no events', retryable: false },
};

describeDatabases('a training that fails', (database) => {
  /** Tells the runs of one test from those before: fences grow, as locks of sessions that are pooled here need. */
  let seed = 0;
  beforeEach(() => {
    seed += 1;
  });

  /** Its jobs end at once, by these results in turn. */
  const workerOf = (
    results: readonly JobResult[],
    jobs: TrainingJob[] = [],
    meanwhile: (run: bigint) => Promise<unknown> = () => Promise.resolve(),
  ) => {
    const metrics = createTrainerMetrics(createMetrics());
    const worker = createTrainingWorker({
      ...{ session: database(), settings: settings('unused'), clock: systemClock, logger, metrics },
      startJob: (job) => {
        jobs.push(job);
        const ended = results[jobs.length - 1]!;
        const result = meanwhile(job.run.id).then(() => ended);
        return { result, stop: () => undefined, kill: () => undefined };
      },
    });
    return { worker, metrics, jobs };
  };
  const request = (requestedBy: string): TrainingRequest => ({
    ...{ requestedBy, mode: 'full', publish: true, options: { seed } },
  });
  /** As they were queued. */
  const runs = async () =>
    (await listTrainingRuns(database(), 10))
      .filter(({ options }) => options.seed === seed)
      .map(({ status, version, attempt }) => ({ status, version, attempt }))
      .reverse();

  it('because the database was away is queued again, goes on with its version, and ends after three tries', async () => {
    const { worker, jobs } = workerOf([away, away, away]);
    await queueTrainingRun(database(), request('cron'));
    for (const attempt of [1, 2, 3]) {
      expect(await worker.work('queued')).toMatchObject({ outcome: 'worked', run: { attempt } });
    }
    const { version } = jobs[0]!.run;
    expect(await runs()).toEqual([
      { status: 'abandoned', version, attempt: 1 },
      { status: 'abandoned', version, attempt: 2 },
      { status: 'failed', version, attempt: 3 },
    ]);
    expect(jobs.map(({ run }) => run.continues)).toEqual([false, true, true]);
    expect(await worker.work('queued')).toEqual({ outcome: 'empty' });
  });

  it('because of its data has failed, and so it has where the checks refused it', async () => {
    const { worker } = workerOf([broken, { kind: 'refused', reason: 'worse' }]);
    for (const status of ['failed', 'refused']) {
      await queueTrainingRun(database(), request('cron'));
      expect(await worker.work('queued')).toMatchObject({ run: { status } });
    }
    expect(await worker.work('queued')).toEqual({ outcome: 'empty' });
  });

  it('under a command is not queued; the same command goes on with its version', async () => {
    const { worker, jobs } = workerOf([away, { kind: 'published', version: '', previous: null }]);
    expect(await worker.work(request('cli'))).toMatchObject({ run: { status: 'abandoned' } });
    expect(await worker.work('queued')).toEqual({ outcome: 'empty' });
    await worker.work(request('cli'));
    expect(jobs[1]!.run).toMatchObject({ version: jobs[0]!.run.version, continues: true });
  });

  it.each([
    ['found the database away', away],
    ['lost its process', { kind: 'died', reason: 'the training process was killed' } as const],
  ])('since it %s is followed to the run in its place, whose end counts', async (_why, first) => {
    const db = database();
    const { worker } = workerOf([first, { kind: 'published', version: 'v1', previous: null }]);
    const begun = await queueTrainingRun(db, request('api:shop'));
    const ask: AdminRequest = async (_method, path, schema) =>
      schema.parse(presentTrainingRun((await getTrainingRun(db, BigInt(path.split('/')[3]!)))!));
    const notes: string[] = [];
    const note = (text: string) => void notes.push(text);
    const followed = followRun({ note }, ask, presentTrainingRun(begun), 5);
    for (let run = 0; run < 2; run++) await worker.work('queued');
    const next = await followed;
    expect(next).toMatchObject({ status: 'succeeded', retried_as: null });
    expect(next.id).not.toBe(String(begun.id));
    expect(notes).toEqual([`Run ${begun.id}: ${first.reason}. It goes on as run ${next.id}.`]);
  });

  it('after it was called off is cancelled, and not tried again', async () => {
    const db = database();
    const { worker } = workerOf([away], [], (run) => cancelTrainingRun(db, run));
    await queueTrainingRun(db, request('cron'));
    expect(await worker.work('queued')).toMatchObject({
      run: { status: 'cancelled', reason: 'it was called off' },
    });
    expect(await worker.work('queued')).toEqual({ outcome: 'empty' });
  });

  it('is tried again by a service after a rest, not within a moment', async () => {
    const { worker, metrics, jobs } = workerOf([away, broken]);
    const restMs = 300;
    const startedAtMs: number[] = [];
    const timed = {
      ...worker,
      work: async (take: 'queued' | TrainingRequest) => {
        const before = jobs.length;
        const at = performance.now();
        const worked = await worker.work(take);
        if (jobs.length > before) startedAtMs.push(at);
        return worked;
      },
    };
    const db = database();
    const trainer = createTrainer({
      ...{ db, worker: timed, cron: null, logger, metrics, pollMs: 5, restMs },
    });
    await queueTrainingRun(db, request('api:shop'));
    trainer.start();
    await waitFor('the second try', () => startedAtMs.length === 2);
    await trainer.stop();
    expect(startedAtMs[1]! - startedAtMs[0]!).toBeGreaterThanOrEqual(restMs);
  });
});

describeDatabases('a trained candidate', (database) => {
  const request = { requestedBy: 'cron', mode: 'full', publish: true, options: {} } as const;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nestrec-retries-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  let models: string;
  beforeEach(async () => {
    await wipeAll(database());
    models = await mkdtemp(join(folder, 'models-'));
    await publishModel(database(), models, { version: 'v1' });
    await publishModel(database(), models, { version: 'v2' });
    await saveModel(database(), models, { version: 'v3' });
  });

  /** Publishes v3, whose training is done; others roll back just before its first moves of the pointer. */
  const publish = async (rollbacks: number) => {
    const db = database();
    await queueTrainingRun(db, request);
    const claim = await claimTrainingRun(db, {
      holder: { pid: 1, host: 'h', instance: randomUUID() },
      ...{ take: 'queued', leaseMs: 60_000, graceMs: 0, attempts: 1 },
    });
    if (claim.outcome !== 'claimed') throw new Error(`got ${claim.outcome}, wanted a claim`);
    const { id, fence } = claim.run;
    let swaps = 0;
    let others: Promise<unknown> | undefined;
    const disturbed: Database = {
      ...db,
      transaction: async (work, options) => {
        await others;
        return db.transaction(work, options);
      },
    };
    const context: JobContext = {
      ...{ db: disturbed, logger, commit: null, signal: new AbortController().signal },
      report: ({ stage, share }) => {
        if (stage !== 'Publishing: swap' || share !== 0) return;
        swaps += 1;
        if (swaps <= rollbacks) others = rollback(db);
      },
    };
    const result = await runTrainingJob(context, {
      run: { ...request, id, fence, version: 'v3', continues: true },
      settings: settings(models),
    });
    await endTrainingRun(db, { id, fence, status: 'succeeded', reason: null });
    return { result, swaps };
  };

  it('is published at the second try where somebody rolled back during the first', async () => {
    expect(await publish(1)).toEqual({
      ...{ result: { kind: 'published', version: 'v3', previous: 'v1' }, swaps: 2 },
    });
    expect((await getPublished(database()))?.version).toBe('v3');
  });

  it('is not refused where others were faster twice: another run may publish it', async () => {
    const { result, swaps } = await publish(2);
    expect(result).toMatchObject({ kind: 'failed', code: 'publish_conflict', retryable: true });
    expect([swaps, (await getPublished(database()))?.version]).toEqual([2, 'v2']);
  });
});
