/** Training runs: queue, claim, heartbeat, fence and end, on both databases. */
import { randomUUID } from 'node:crypto';
import { openPostgres, type Database } from '@nestrec/database';
import * as storage from '@nestrec/storage';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestPostgres, describeDatabases, postgresMissing } from '../helpers/databases.js';
import type { CreatedDatabase } from '../helpers/postgres-template.js';
import { waitFor } from '../helpers/wait-for.js';

const request: storage.TrainingRequest = {
  ...{ requestedBy: 'cron', mode: 'full', publish: true, options: { sizes: [4, 8], epochs: 2 } },
};
const newHolder = (): storage.TrainingHolder => ({ pid: 7, host: 'h', instance: randomUUID() });
const claim = (db: Database, options: Partial<storage.ClaimOptions> = {}) =>
  storage.claimTrainingRun(db, {
    ...{ holder: newHolder(), take: 'queued', leaseMs: 60_000, graceMs: 0, attempts: 1 },
    ...options,
  });

async function claimed(db: Database, options: Partial<storage.ClaimOptions> = {}) {
  const found = await claim(db, options);
  if (found.outcome !== 'claimed') throw new Error(`wanted a claim, got ${found.outcome}`);
  return found.run;
}

/** As if the lease had run out while the holder was frozen. */
const expire = (db: Database) =>
  db.execute("UPDATE training_runs SET lease_until = now() - interval '1 ms'");

describeDatabases('training runs', (database) => {
  beforeEach(() => database().execute('TRUNCATE training_runs'));

  it('gives a run back as it was asked for, and lists the newest first', async () => {
    const db = database();
    const first = await storage.queueTrainingRun(db, request);
    const second = await storage.queueTrainingRun(db, { ...request, requestedBy: 'api:shop' });
    expect(first).toMatchObject({ ...request, status: 'queued', holder: null, version: null });
    expect(await storage.getTrainingRun(db, first.id)).toEqual(first);
    expect((await storage.listTrainingRuns(db, 10)).map(({ id }) => id)).toEqual([
      second.id,
      first.id,
    ]);
    expect(await storage.listTrainingRuns(db, 1)).toHaveLength(1);
    expect(await storage.getTrainingRun(db, second.id + 1n)).toBeNull();
  });

  it('queues one run for all ticks that were missed, and one for all services at one tick', async () => {
    const db = database();
    const queueOne = (sinceMs: number) =>
      db.transaction((tx) => storage.queueOneTrainingRun(tx, request, sinceMs));
    expect(await queueOne(0)).not.toBeNull();
    expect(await queueOne(0)).toBeNull();
    const run = await claimed(db);
    expect(await queueOne(60_000)).toBeNull();
    expect(await queueOne(0)).not.toBeNull();
    expect(run.requestedBy).toBe('cron');
  });

  it('claims runs in the order in which they were queued, each with a greater fence', async () => {
    const db = database();
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push((await storage.queueTrainingRun(db, request)).id);
    const fences = [];
    for (const id of ids) {
      const run = await claimed(db);
      expect(run.id).toBe(id);
      fences.push(run.fence);
      expect(await storage.endTrainingRun(db, { ...run, status: 'succeeded', reason: null })).toBe(
        true,
      );
    }
    expect(fences).toEqual([...fences].sort((a, b) => a - b));
    expect(new Set(fences).size).toBe(3);
    expect(await claim(db)).toEqual({ outcome: 'empty' });
    expect(await storage.lastTrainingSuccess(db)).toBeCloseTo(Date.now(), -5);
  });

  it('lets nobody else claim while the holder lives, and says who it is', async () => {
    const db = database();
    const holder = newHolder();
    const run = await claimed(db, { holder, take: request, graceMs: 60_000 });
    const other = await claim(db, { holder, take: request, graceMs: 60_000 });
    expect(other).toMatchObject({ outcome: 'busy', run: { id: run.id, holder } });
    expect(await storage.listTrainingRuns(db, 9)).toHaveLength(1);
  });

  it('a holder whose lease ran out is succeeded, and can do nothing any more', async () => {
    const db = database();
    const zombie = await claimed(db, { take: request });
    await storage.nameTrainingVersion(db, zombie, 'v1');
    await expire(db);
    const next = await claimed(db, { take: request });
    expect(next).toMatchObject({ continues: zombie.id, version: 'v1' });
    const { id, fence } = zombie;
    const beat = { id, fence, leaseMs: 1_000, stage: null, share: null };
    expect(await storage.beatTrainingRun(db, beat)).toBeNull();
    expect(await storage.nameTrainingVersion(db, zombie, 'v2')).toBe(false);
    expect(await db.transaction((tx) => storage.markTrainingPublished(tx, zombie))).toBe(false);
    const end = { ...zombie, status: 'succeeded', reason: null } as const;
    expect(await storage.endTrainingRun(db, end)).toBe(false);
    expect(await storage.getTrainingRun(db, id)).toMatchObject({
      ...{ status: 'abandoned', version: 'v1', published: false },
    });
    expect(await db.transaction((tx) => storage.markTrainingPublished(tx, next))).toBe(true);
  });

  it('has succeeded where its trainer was lost after it had published, and is not run again', async () => {
    const db = database();
    const publish = async () => {
      const run = await claimed(db, { take: { ...request, requestedBy: 'cron' } });
      await db.transaction((tx) => storage.markTrainingPublished(tx, run));
      return run;
    };
    const lost = await publish();
    await expire(db);
    expect(await claim(db)).toEqual({ outcome: 'empty' });
    const died = await publish();
    const end = { ...died, status: 'abandoned', reason: 'killed', againAsAttempt: 2 } as const;
    expect(await storage.endTrainingRun(db, end)).toBe(true);
    expect(await claim(db)).toEqual({ outcome: 'empty' });
    for (const { id } of [lost, died]) {
      expect(await storage.getTrainingRun(db, id)).toMatchObject({
        ...{ status: 'succeeded', published: true },
      });
    }
  });

  it('goes on only with what was asked for in the same words and neither published nor taken', async () => {
    const db = database();
    const leave = async (version: string, publish: boolean) => {
      const run = await claimed(db, { take: request });
      await storage.nameTrainingVersion(db, run, version);
      if (publish) await db.transaction((tx) => storage.markTrainingPublished(tx, run));
      await expire(db);
    };
    const next = async (take: storage.TrainingRequest) => {
      const run = await claimed(db, { take });
      await storage.endTrainingRun(db, { ...run, status: 'succeeded', reason: null });
      return run.version;
    };
    await leave('v1', false);
    expect(await next({ ...request, options: { sizes: [4] } })).toBeNull();
    expect(await next({ ...request, mode: 'incremental' })).toBeNull();
    expect(await next({ ...request, requestedBy: 'cli' })).toBe('v1');
    expect(await next(request)).toBeNull();
    await leave('v2', true);
    expect(await next(request)).toBeNull();
  });

  it('queues again what a holder left, as often as it is told, but not what a command asked for', async () => {
    const db = database();
    await storage.queueTrainingRun(db, request);
    for (let attempt = 1; attempt <= 3; attempt++) {
      expect(await claimed(db, { attempts: 3 })).toMatchObject({ attempt });
      await expire(db);
    }
    expect(await claim(db, { attempts: 3 })).toEqual({ outcome: 'empty' });
    await claimed(db, { take: { ...request, requestedBy: 'cli' } });
    await expire(db);
    expect(await claim(db, { attempts: 3 })).toEqual({ outcome: 'empty' });
  });

  it('an abandoned run names the one that was queued in its place, and others name none', async () => {
    const db = database();
    const left = await storage.queueTrainingRun(db, request);
    await claimed(db);
    await expire(db);
    const second = await claimed(db, { attempts: 3 });
    const again = { status: 'abandoned', reason: 'killed', againAsAttempt: 3 } as const;
    await storage.endTrainingRun(db, { ...second, ...again });
    const third = await claimed(db, { attempts: 3 });
    await storage.cancelTrainingRun(db, third.id);
    await storage.endTrainingRun(db, { ...third, ...again });
    const successors = (await storage.listTrainingRuns(db, 9)).map((run) => run.retriedAs);
    expect(successors).toEqual([null, third.id, second.id]);
    expect((await storage.getTrainingRun(db, left.id))!.status).toBe('abandoned');
    expect(await claim(db)).toEqual({ outcome: 'empty' });
  });

  it('a heartbeat prolongs the lease, says how far the run is, and hears of a cancellation', async () => {
    const db = database();
    const run = await claimed(db, { take: request, leaseMs: 1 });
    const beat = { ...run, leaseMs: 60_000, stage: 'Training', share: 0.5 };
    expect(await storage.beatTrainingRun(db, beat)).toEqual({ cancelRequested: false });
    expect(await storage.getTrainingRun(db, run.id)).toMatchObject({
      stage: 'Training',
      share: 0.5,
    });
    expect(await storage.cancelTrainingRun(db, run.id)).toMatchObject({
      ...{ status: 'running', cancelRequested: true },
    });
    expect(await storage.beatTrainingRun(db, beat)).toEqual({ cancelRequested: true });
    expect(await db.transaction((tx) => storage.markTrainingPublished(tx, run))).toBe(false);
    await storage.endTrainingRun(db, { ...run, status: 'cancelled', reason: 'called off' });
    expect(await storage.cancelTrainingRun(db, run.id)).toMatchObject({ status: 'cancelled' });
  });

  it('a run that waits is cancelled at once, and never claimed', async () => {
    const db = database();
    const { id } = await storage.queueTrainingRun(db, request);
    expect(await storage.cancelTrainingRun(db, id)).toMatchObject({ status: 'cancelled' });
    expect(await claim(db)).toEqual({ outcome: 'empty' });
    expect(await storage.cancelTrainingRun(db, id + 1n)).toBeNull();
  });
});

const missing = postgresMissing();
describe.skipIf(missing !== null)(`the session of a trainer (${missing ?? 'PostgreSQL'})`, () => {
  let created: CreatedDatabase;
  let db: Database;
  const open = () => openPostgres({ url: created.url, max: 1, allowUnsafeDurability: true });
  beforeAll(async () => {
    created = await createTestPostgres();
    db = await open();
  });
  afterAll(async () => {
    await db.close();
    await created.drop();
  });
  beforeEach(() => db.execute('TRUNCATE training_runs'));

  it('holds the claim for as long as it lives, and not a moment longer', async () => {
    const session = await open();
    await claimed(session, { take: request });
    expect(await claim(db, { take: request })).toMatchObject({ outcome: 'busy' });
    await session.close();
    expect(await claim(db, { take: request, graceMs: 60_000 })).toMatchObject({ outcome: 'busy' });
    expect(await claimed(db, { take: request })).toMatchObject({ status: 'running' });
  });

  it('takes its lock again after the connection was lost', async () => {
    const session = await open();
    const run = await claimed(session, { take: request });
    await db.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()',
    );
    const beat = { ...run, leaseMs: 60_000, stage: null, share: null };
    await waitFor('a heartbeat on a new connection', () =>
      storage.beatTrainingRun(session, beat).catch(() => null),
    );
    expect(await claim(db, { take: request })).toMatchObject({ outcome: 'busy' });
    await session.close();
  });

  it('of 8 trainers that claim at the same instant one gets the run', async () => {
    const sessions = await Promise.all(Array.from({ length: 8 }, open));
    const claims = await Promise.all(sessions.map((one) => claim(one, { take: request })));
    expect(claims.map(({ outcome }) => outcome).sort()).toEqual([
      ...Array<string>(7).fill('busy'),
      'claimed',
    ]);
    await Promise.all(sessions.map((one) => one.close()));
  });
});
