/**
 * B4: a trainer is killed at a random instant of its training, of copying vectors, of building indexes, and
 * between the finished table and the move of the pointer. What answers is what answered before, or the new
 * version whole; the next trainer, which waits already, needs nobody and leaves nothing over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@nestrec/database';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { eventually } from './harness/supervisor.js';
import { makeTrainers, type LaunchedTrainer, type Trainers } from './harness/trainers.js';

/** Where it is killed, and how long after it got there at most. */
const PLACES = { epoch: 900, copy: 40, index: 60, swap: 30 } as const;
type Place = keyof typeof PLACES;
const KILLS_PER_PLACE = 20;
const CI_KILLS_PER_PLACE = 1;
const TWIN_KILLS_PER_PLACE = 2;
const ENDS_WITHIN_MS = 180_000;

export async function killTrainers(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { random, note, options } = context;
  const trainers = await makeTrainers(context, ground, build, 'trainer-that-points-first.mjs');
  const judge = createJudge();
  const short = options.ci && build === 'product';
  const perPlace = build === 'broken' ? TWIN_KILLS_PER_PLACE : context.scaled(KILLS_PER_PLACE);
  const each = (Object.keys(PLACES) as Place[]).flatMap((place) =>
    Array.from({ length: short ? CI_KILLS_PER_PLACE : perPlace }, () => place),
  );
  const places = random.shuffle(each);
  // What answers before the first kill.
  await finish(await started(trainers));
  const counts = {
    killed: 0,
    unchanged: 0,
    new: 0,
    'served broken': 0,
    leftovers: 0,
    'next failed': 0,
  };
  for (const place of places) {
    const afterMs = random.int(PLACES[place] + 1);
    const { before, victim, next, version } = await killAt(trainers, place, afterMs);
    counts.killed += 1;
    const after = await trainers.served();
    const fault = await trainers.servedFault();
    if (after === before) counts.unchanged += 1;
    else if (after === version) counts.new += 1;
    if (fault !== null || (after !== before && after !== version)) {
      counts['served broken'] += 1;
      judge.holds(
        `killed in ${place}: ${after} answers after ${before}: ${fault ?? 'neither old nor new'}`,
        false,
      );
    }
    const code = await finish(next);
    if (code !== 0) {
      counts['next failed'] += 1;
      judge.holds(
        `killed in ${place}: the next trainer ended with ${code}: ${next.output().slice(-600)}`,
        false,
      );
    }
    const leftovers = await trainers.leftovers();
    counts.leftovers += leftovers.length;
    for (const one of leftovers)
      judge.holds(`killed in ${place}: left over after the next run: ${one}`, false);
    note(
      `killed process ${victim} in ${place}; ${after === before ? 'unchanged' : 'new'}, next ended with ${code}`,
    );
    if (build === 'broken' && counts['served broken'] > 0) break;
  }
  judge.equal('kills', counts.killed, build === 'broken' ? counts.killed : places.length);
  return { measures: counts, failures: judge.failures };
}

async function started(trainers: Trainers, wait = false): Promise<LaunchedTrainer> {
  const trainer = await trainers.load({ wait });
  trainer.begin();
  return trainer;
}

const finish = (trainer: LaunchedTrainer): Promise<number | null> =>
  Promise.race([trainer.ended, sleep(ENDS_WITHIN_MS, null, { ref: false })]);

/** Kills a trainer in its place; one that was past it before anybody saw is let go on, and another taken. */
async function killAt(trainers: Trainers, place: Place, afterMs: number) {
  for (;;) {
    // Asked at every try: the two that are let go on publish.
    const before = await trainers.served();
    const [victim, next] = await Promise.all([trainers.load(), trainers.load({ wait: true })]);
    victim.begin();
    await eventually('the claim', () => phaseOf(trainers.db, victim.pid), ENDS_WITHIN_MS);
    next.begin();
    let seen = await phaseOf(trainers.db, victim.pid);
    while (seen !== null && seen.phase !== place) seen = await phaseOf(trainers.db, victim.pid);
    if (seen === null) {
      await Promise.all([finish(victim), finish(next)]);
      continue;
    }
    await sleep(afterMs);
    victim.kill('SIGKILL');
    await victim.ended;
    return { before, victim: victim.pid, next, version: seen.version };
  }
}

/** Where the run of a process is; null where it works at none (any more). */
async function phaseOf(db: Database, pid: number) {
  const { rows } = await db.query<{ phase: Place | 'other'; version: string }>(
    `SELECT r.version, CASE
       WHEN t.oid IS NULL AND r.stage = 'Training' THEN 'epoch'
       WHEN t.oid IS NULL THEN 'other'
       WHEN obj_description(t.oid, 'pg_class') IS NOT NULL AND p.version = r.version THEN 'other'
       WHEN obj_description(t.oid, 'pg_class') IS NOT NULL THEN 'swap'
       WHEN EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active'
         AND query ~* '^\\s*CREATE INDEX' AND datname = current_database()) THEN 'index'
       ELSE 'copy' END AS phase
     FROM training_runs r
     LEFT JOIN pg_class t ON t.relname = 'item_vectors_' || r.version
     LEFT JOIN published_model p ON true
     WHERE r.status = 'running' AND r.holder_pid = $1`,
    [pid],
  );
  return rows[0] ?? null;
}
