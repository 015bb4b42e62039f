/** The trainer on both databases, with real training processes: by command, by the API's queue, by a stop. */
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '@nestrec/cli';
import type { TrainingRunAnswer, TrainingRunsAnswer } from '@nestrec/contracts';
import { openPglite, openPostgres, type Database } from '@nestrec/database';
import { silentLogger, loadConfig } from '@nestrec/runtime';
import {
  cancelTrainingRun,
  claimTrainingRun,
  getPublished,
  getTrainingRun,
  listItemVectorTables,
  nameTrainingVersion,
  queueTrainingRun,
  type TrainingRun,
} from '@nestrec/storage';
import { runTrainer, trainerConfig, type RunningTrainer } from '@nestrec/trainer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyPgliteTemplate, createTestPostgres, postgresMissing } from '../helpers/databases.js';
import { FAST_TRAINING, fillShop } from '../helpers/training-data.js';
import type { CreatedDatabase } from '../helpers/postgres-template.js';
import { waitFor } from '../helpers/wait-for.js';

interface Said {
  readonly code: number;
  readonly json: unknown;
  readonly text: string;
}

/** One command, as a process would run it. */
async function nestrec(env: Record<string, string>, ...args: string[]): Promise<Said> {
  let stdout = '';
  let stderr = '';
  const stream = (take: (text: string) => void) =>
    ({ write: (text: string) => (take(text), true) }) as unknown as NodeJS.WriteStream;
  const code = await runCli([...args, '--json'], {
    env: { NESTREC_BACKEND: 'wasm', NESTREC_TRAIN_WORKERS: '1', ...env },
    streams: { stdout: stream((t) => (stdout += t)), stderr: stream((t) => (stderr += t)) },
  });
  process.exitCode = undefined;
  return { code, json: JSON.parse(stdout) as unknown, text: stderr };
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-trainer-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('nestrec retrain on the embedded database', () => {
  it('fails with the reason, then trains in a process beside this one, publishes, and keeps records', async () => {
    const dataDir = join(folder, 'embedded');
    const template = await copyPgliteTemplate();
    await cp(template.dataDir, join(dataDir, 'database'), { recursive: true });
    await template.dispose();
    const env = { NESTREC_DATA_DIR: dataDir };
    const empty = await nestrec(env, 'retrain', ...FAST_TRAINING);
    expect([empty.code, JSON.stringify(empty.json)]).toEqual([
      65,
      expect.stringContaining('insufficient_data'),
    ]);
    const filling = await openPglite({ dataDir: join(dataDir, 'database') });
    await fillShop(filling);
    await filling.close();

    const first = await nestrec(env, 'retrain', ...FAST_TRAINING);
    expect(first.text).toContain('Publishing: swap');
    const run = first.json as TrainingRunAnswer;
    expect([first.code, run.status, run.published]).toEqual([0, 'succeeded', true]);
    const { runs } = (await nestrec(env, 'runs', 'list')).json as TrainingRunsAnswer;
    expect(runs).toEqual([
      run,
      expect.objectContaining({ status: 'failed', version: expect.any(String) }),
    ]);
    expect(runs[1]!.reason).toContain('nestrec import events');
    expect((await nestrec(env, 'runs', 'show', run.id)).json).toEqual(run);
    expect((await nestrec(env, 'runs', 'show', '99')).code).toBe(66);
  });
});

const missing = postgresMissing();
describe.skipIf(missing !== null)(`the trainer (${missing ?? 'PostgreSQL'})`, () => {
  let created: CreatedDatabase;
  let db: Database;
  let env: Record<string, string>;
  let trainer: RunningTrainer | null = null;

  beforeAll(async () => {
    created = await createTestPostgres();
    db = await openPostgres({ url: created.url, max: 3, allowUnsafeDurability: true });
    await fillShop(db);
    env = {
      DATABASE_URL: created.url,
      NESTREC_ALLOW_UNSAFE_DURABILITY: 'true',
      NESTREC_DATA_DIR: join(folder, 'postgres'),
    };
  });
  afterAll(async () => {
    await trainer?.stop();
    await db.close();
    await created.drop();
  });

  const service = async () => {
    const settings = { ...env, NESTREC_BACKEND: 'wasm', NESTREC_TRAIN_WORKERS: '1' };
    const config = { ...loadConfig(trainerConfig, settings), trainerPort: 0 };
    trainer = await runTrainer(config, silentLogger());
    return trainer;
  };
  const options = { preset: 'fast', sizes: [4, 8], epochs: 3 } as const;
  const queue = (change: object = {}) =>
    queueTrainingRun(db, {
      ...{ requestedBy: 'api:shop', mode: 'full', publish: true },
      options: { ...options, sizes: [...options.sizes], ...change },
    });
  /** One that goes on for longer than it takes to call it off: small models stop early, having learnt all there is. */
  const queueLong = () => queue({ epochs: 10_000, preset: 'paper', sizes: [8, 1_024] });
  const ended = ({ id }: TrainingRun, ...status: TrainingRun['status'][]) =>
    waitFor(
      `the end of run ${id}`,
      async () => {
        const run = (await getTrainingRun(db, id))!;
        if (status.includes(run.status)) return run;
        // It will not end once more: say how it did, and why.
        if (run.finishedAtMs !== null) throw new Error(`run ${id} ${run.status}: ${run.reason}`);
        return null;
      },
      60_000,
    );

  it('leaves politely with 75 where another works, naming it, and takes a dead one over with what it left', async () => {
    const holder = await openPostgres({ url: created.url, max: 1, allowUnsafeDurability: true });
    const instance = '00000000-0000-4000-8000-000000000001';
    const claim = await claimTrainingRun(holder, {
      holder: { pid: 4711, host: 'elsewhere', instance },
      take: { requestedBy: 'cli', mode: 'full', publish: true, options: {} },
      ...{ leaseMs: 60_000, graceMs: 3_000, attempts: 3 },
    });
    if (claim.outcome !== 'claimed') throw new Error(`got ${claim.outcome}, wanted a claim`);
    await nameTrainingVersion(holder, claim.run, 'v_dead');
    const [models, checkpoints] = [
      join(folder, 'postgres/models'),
      join(folder, 'postgres/checkpoints'),
    ];
    const halfOfIt = join(models, '.v_dead.0123456789ab.tmp');
    const halfCheckpoint = join(checkpoints, '.v_dead.safetensors.0123456789ab.tmp');
    // By hand, of another version: nobody can say whether it is being written.
    const halfOfAnother = join(models, '.by_hand.0123456789ab.tmp');
    for (const path of [halfOfIt, halfCheckpoint, halfOfAnother])
      await mkdir(path, { recursive: true });
    const standing = () =>
      [halfOfIt, halfCheckpoint, halfOfAnother].map((path) => existsSync(path));
    const busy = await nestrec(env, 'retrain', ...FAST_TRAINING);
    expect(busy.code).toBe(75);
    expect(JSON.stringify(busy.json)).toMatch(
      /Process 4711 on elsewhere works at run \d+ since 20/,
    );
    expect(standing()).toEqual([true, true, true]);

    await holder.close();
    const done = await nestrec(env, 'retrain', '--wait', ...FAST_TRAINING);
    expect([done.code, (done.json as TrainingRunAnswer).status]).toEqual([0, 'succeeded']);
    const { runs } = (await nestrec(env, 'runs', 'list')).json as TrainingRunsAnswer;
    expect(runs.map(({ status }) => status)).toEqual(['succeeded', 'abandoned']);
    expect(standing()).toEqual([false, false, true]);
    expect(await listItemVectorTables(db)).toEqual([(await getPublished(db))!.version]);
  });

  it('as a service works at what waits, in order, and says so in its metrics', async () => {
    const { url } = await service();
    const before = (await getPublished(db))!.version;
    const first = await queue();
    const second = await queue({ epochs: 2 });
    await ended(first, 'succeeded', 'refused');
    const last = await ended(second, 'succeeded', 'refused');
    expect(last.finishedAtMs).toBeGreaterThan((await getTrainingRun(db, first.id))!.finishedAtMs!);
    expect((await getPublished(db))!.version).not.toBe(before);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/rec_training_runs_total\{result="(succeeded|refused)"\} \d/);
    expect(metrics).toMatch(/rec_training_duration_seconds_count 2/);
    expect(metrics).toMatch(
      /rec_training_last_success_timestamp_seconds 1\.\d+e\+9|_seconds \d{10}/,
    );
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  it('a run that is called off stops, publishes nothing, and is not begun again', async () => {
    const before = (await getPublished(db))!.version;
    const run = await queueLong();
    await waitFor(
      'its training',
      async () => (await getTrainingRun(db, run.id))!.stage === 'Training',
      60_000,
    );
    await cancelTrainingRun(db, run.id);
    expect(await ended(run, 'cancelled', 'succeeded', 'abandoned')).toMatchObject({
      ...{ status: 'cancelled', published: false, reason: 'it was called off' },
    });
    expect((await getPublished(db))!.version).toBe(before);
  });

  it('a service that is stopped leaves its run to the next, which goes on with the same version', async () => {
    const run = await queueLong();
    await waitFor(
      'its training',
      async () => (await getTrainingRun(db, run.id))!.stage === 'Training',
      60_000,
    );
    await trainer!.stop();
    expect(await getTrainingRun(db, run.id)).toMatchObject({ status: 'abandoned' });
    await service();
    const next = await waitFor('the next', async () => {
      const { rows } = await db.query<{ id: bigint }>(
        'SELECT id FROM training_runs WHERE continues = $1',
        [run.id],
      );
      return rows[0] ? getTrainingRun(db, rows[0].id) : null;
    });
    expect(next.version).toBe((await getTrainingRun(db, run.id))!.version);
    await cancelTrainingRun(db, next.id);
    await ended(next, 'cancelled');
  });
});
