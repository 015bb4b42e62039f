/**
 * B5: five trainers begin at the same instant, and one works; a killed one is succeeded at once; one that was
 * frozen until another had published wakes and publishes nothing.
 */
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ground } from './harness/ground.js';
import { eventually } from './harness/supervisor.js';
import { makeTrainers, type LaunchedTrainer, type Trainers } from './harness/trainers.js';

const TRAINERS = 5;
const ROUNDS = 20;
const ROUNDS_IN_CI = 1;
const KILLS = 5;
const ZOMBIES = 4;
const BUSY = 75;
const SUCCEEDED_WITHIN_MS = 5_000;
const SAME_INSTANT_MS = 10;
const LONGEST_MS = 180_000;

export async function raceTrainers(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const trainers = await makeTrainers(context, ground, build, 'trainer-without-fence.mjs');
  const judge = createJudge();
  const few = build === 'broken' || context.options.ci;
  const rounds = few ? ROUNDS_IN_CI : context.scaled(ROUNDS);
  let published = 0;
  if (build === 'product') {
    for (let round = 1; round <= rounds; round++) {
      published += await race(context, trainers, judge, round);
    }
  }
  const takeovers: number[] = [];
  for (let kill = 0; build === 'product' && kill < (few ? 1 : context.scaled(KILLS)); kill++) {
    takeovers.push(await succeedKilled(trainers));
  }
  const slowest = Math.max(0, ...takeovers);
  judge.atMost('ms until a killed trainer was succeeded', slowest, SUCCEEDED_WITHIN_MS);
  const zombies = few ? 1 : context.scaled(ZOMBIES);
  let woken = 0;
  for (let zombie = 0; zombie < zombies; zombie++) woken += await wakeZombie(context, trainers);
  judge.equal('versions that zombies published', woken, 0);
  return {
    measures: {
      ...{ rounds: build === 'product' ? rounds : 0, published, kills: takeovers.length },
      'slowest takeover': `${(slowest / 1_000).toFixed(1)} s`,
      ...{ zombies, 'published by zombies': woken },
    },
    failures: judge.failures,
  };
}

const loadAll = (trainers: Trainers, count: number, wait = false) =>
  Promise.all(Array.from({ length: count }, () => trainers.load({ wait })));

async function race(
  { note }: ChaosContext,
  trainers: Trainers,
  judge: ReturnType<typeof createJudge>,
  round: number,
): Promise<number> {
  const { rows } = await trainers.db.query<{ last: bigint }>(
    'SELECT coalesce(max(id), 0) AS last FROM training_runs',
  );
  const all = await loadAll(trainers, TRAINERS);
  const fromMs = performance.now();
  for (const one of all) one.begin();
  judge.atMost(
    'ms between the first and the last start',
    performance.now() - fromMs,
    SAME_INSTANT_MS,
  );
  const codes = await Promise.all(all.map((one) => one.ended));
  const runs = await trainers.db.query<{ published: boolean; holder_pid: number }>(
    'SELECT published, holder_pid FROM training_runs WHERE id > $1',
    [rows[0]!.last],
  );
  const winners = runs.rows.filter((run) => run.published);
  judge.equal(`round ${round}: published`, winners.length, 1);
  judge.equal(`round ${round}: ended with 0`, codes.filter((code) => code === 0).length, 1);
  const polite = all.filter((_, i) => codes[i] === BUSY);
  judge.equal(`round ${round}: left with 75`, polite.length, TRAINERS - 1);
  const naming = new RegExp(
    `Process ${winners[0]?.holder_pid} on \\S+ works at run \\d+ since \\d{4}-`,
  );
  const named = polite.filter((one) => naming.test(one.output()));
  judge.equal(`round ${round}: named the one that works`, named.length, polite.length);
  note(`round ${round}: exit codes ${codes.join(', ')}`);
  return winners.length;
}

const claimed = (trainers: Trainers, one: LaunchedTrainer) =>
  eventually(
    'a claim',
    async () => {
      const { rows } = await trainers.db.query<{
        id: bigint;
        stage: string | null;
        started_at: Date;
      }>(`SELECT id, stage, started_at FROM training_runs WHERE holder_pid = $1`, [one.pid]);
      return rows[0];
    },
    LONGEST_MS,
  );

/** Milliseconds from the death of a trainer to the claim of one that waits, by the database's clock. */
async function succeedKilled(trainers: Trainers): Promise<number> {
  const [victim, next] = (await loadAll(trainers, 2, true)) as [LaunchedTrainer, LaunchedTrainer];
  victim.begin();
  await claimed(trainers, victim);
  next.begin();
  await eventually('that the next waits', () => /Waiting for it/.test(next.output()), LONGEST_MS);
  const { rows } = await trainers.db.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  victim.kill('SIGKILL');
  const { started_at: at } = await claimed(trainers, next);
  await next.ended;
  return at.getTime() - rows[0]!.now.getTime();
}

/** Freezes a trainer in its training until another has published, and wakes it; how often it published then. */
async function wakeZombie({ note }: ChaosContext, trainers: Trainers): Promise<number> {
  // Asked for something else: the next one would go on with its version, and find it taken when it wakes.
  const [zombie, next] = await Promise.all([
    trainers.load({ wait: true, seed: 2 }),
    trainers.load({ wait: true }),
  ]);
  zombie.begin();
  await claimed(trainers, zombie);
  await eventually(
    'its training',
    async () => /^Training \.\.\.$/m.test(zombie.output()),
    LONGEST_MS,
  );
  zombie.kill('SIGSTOP');
  next.begin();
  const code = await next.ended;
  const published = await trainers.served();
  zombie.kill('SIGCONT');
  const zombieCode = await Promise.race([zombie.ended, sleep(LONGEST_MS, 'late', { ref: false })]);
  const after = await trainers.served();
  note(
    `the one that waited ended with ${code}, the zombie with ${zombieCode}; ${after === published ? 'nothing' : after} was published by it`,
  );
  return after === published ? 0 : 1;
}
