/**
 * B8: a training beside serving: the trainer's process steps back, so that p99 at 200 requests a second is at most
 * three times what it is without, and nothing fails. The broken trainer does not step back, and takes every core.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Database } from '@nestrec/database';
import { repositoryRoot } from '../helpers/started-process.js';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { API } from './harness/http.js';
import { launchProcess } from './harness/launched-process.js';
import { eventually } from './harness/supervisor.js';
import { makeServedScene, percentile, type VersionScene } from './harness/versions.js';

const PER_SECOND = 200;
const WARM_UP_MS = 5_000;
const IDLE_MS = 30_000;
const BESIDE_MS = 60_000;
const MOST_TIMES = 3;
/** Goes on until it is ended: longer than it is watched. */
const LONG_TRAINING = ['--preset', 'paper', '--sizes', '32,64,128', '--epochs', '10000'];
const BROKEN_ENV = { NESTREC_TRAIN_NICE: '0', NESTREC_TRAIN_WORKERS: '8' };
const PROGRAM = new URL('./harness/retrain-at-signal.mjs', import.meta.url);

export async function trainBeside(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  await promisify(execFile)('npx', ['tsc', '-b'], { cwd: repositoryRoot });
  const { scene, startLoad } = await makeServedScene(context, ground, {
    ...{ program: API, processes: 1 },
  });
  const trainer = await loadTrainer(context, scene, build);
  const load = await startLoad(PER_SECOND);
  await sleep(WARM_UP_MS);
  const idleFromMs = performance.now();
  await sleep(IDLE_MS / context.options.shrink);
  const idleToMs = performance.now();
  process.kill(trainer.pid, 'SIGUSR2');
  await eventually('its training', () => trains(scene.db), 60_000);
  const besideFromMs = performance.now();
  await sleep(BESIDE_MS / context.options.shrink);
  const besideToMs = performance.now();
  const trained = await trains(scene.db);
  trainer.kill('SIGKILL');
  await load.stop();

  const p99 = (from: number, to: number) =>
    percentile(
      load.served.filter(({ atMs }) => atMs >= from && atMs < to).map(({ tookMs }) => tookMs),
      0.99,
    );
  const idle = p99(idleFromMs, idleToMs);
  const beside = p99(besideFromMs, besideToMs);
  const failed = load.served.filter(({ status }) => status !== 200).length;
  const judge = createJudge();
  judge.holds('the training went on for as long as it was watched', trained);
  judge.equal('answers that were not 200', failed, 0);
  judge.equal('requests not sent', load.unsent(), 0);
  judge.atMost('p99 beside a training, in times of idle', beside / idle, MOST_TIMES);
  return {
    measures: {
      requests: load.served.length,
      'not 200': failed,
      'p99 idle': `${idle.toFixed(1)} ms`,
      'p99 beside': `${beside.toFixed(1)} ms`,
      times: Number((beside / idle).toFixed(2)),
    },
    failures: judge.failures,
  };
}

/** `nestrec retrain` as a cron calls it, loaded and not begun. */
async function loadTrainer(context: ChaosContext, scene: VersionScene, build: Build) {
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-chaos-beside-'));
  context.defer(() => rm(folder, { recursive: true, force: true }));
  const trainer = launchProcess({
    ...{ program: PROGRAM, built: true },
    args: ['retrain', ...LONG_TRAINING, '--no-publish', '--json'],
    env: {
      DATABASE_URL: scene.url,
      NESTREC_ALLOW_UNSAFE_DURABILITY: 'true',
      NESTREC_DATA_DIR: folder,
      ...(build === 'broken' ? BROKEN_ENV : {}),
    },
  });
  context.defer(async () => {
    trainer.kill('SIGKILL');
    await trainer.ended;
  });
  await trainer.ready(/^loaded$/m, 120_000);
  return trainer;
}

async function trains(db: Database): Promise<boolean> {
  const { rows } = await db.query<{ trains: boolean }>(
    `SELECT EXISTS (SELECT FROM training_runs
       WHERE status = 'running' AND stage = 'Training') AS trains`,
  );
  return rows[0]!.trains;
}
