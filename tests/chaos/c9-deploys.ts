/**
 * C9: API processes are replaced one by one under load, as a rolling deploy does it, behind a balancer that looks at
 * `/readyz` and tries nothing twice: no request fails, no accepted event is lost. Then the schema moves on beneath
 * them while a long transaction reads. The broken build closes its port at once.
 */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { migrate, migrationsFolder, readMigrations } from '@nestrec/database';
import { startBalancer, type Balancer } from './harness/balancer.js';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { API, openLoop, send, type Reply } from './harness/http.js';
import { eventually } from './harness/supervisor.js';
import {
  makeServedScene,
  pathOf,
  percentile,
  startApi,
  USERS,
  type VersionedApi,
  type VersionScene,
} from './harness/versions.js';

const PER_SECOND = 300;
const PROCESSES = 2;
/** Each of both, so often; with the pauses about 5 minutes, 90,000 requests. */
const DEPLOYS = 10;
const TWIN_DEPLOYS = 2;
const PAUSE_MS = 8_000;
/** One request in so many sends an event; the others ask for a list. */
const EVENT_ONE_IN = 10;
/** Longer than the balancer needs to notice. */
const DRAIN = '2s';
/** How long a transaction reads what a migration wants to change. */
const LONG_READ_MS = 4_000;
const LONGEST_WAIT_MS = 2_000;

export async function deployUnderLoad(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const env = { NESTREC_DRAIN_DELAY: build === 'broken' ? '0ms' : DRAIN };
  const { scene, apis } = await makeServedScene(context, ground, {
    ...{ program: API, processes: PROCESSES, env },
  });
  const balancer = startBalancer<VersionedApi>(context);
  for (const api of apis) balancer.add(api);
  await eventually('both to be ready', () => apis.every((api) => balancer.isReady(api)), 30_000);
  const load = openLoop(context.scaled(PER_SECOND), (index) => {
    const target = balancer.next();
    if (target === null) return Promise.resolve(NOBODY_READY);
    return index % EVENT_ONE_IN === 0
      ? send(target, 'POST', '/v1/events', { events: [eventOf(index)] })
      : send(target, 'GET', pathOf(context.random.int(USERS)));
  });

  const judge = createJudge();
  const running = [...apis];
  const deploys = context.scaled(build === 'broken' ? TWIN_DEPLOYS : DEPLOYS);
  for (let deploy = 1; deploy <= deploys; deploy++) {
    for (const old of running.splice(0)) {
      running.push(await replace(context, scene, { balancer, old, env, deploy, judge }));
      await sleep(PAUSE_MS);
    }
  }
  const slowestMs = build === 'broken' ? 0 : await migrateBeneath(scene, load.replies, judge);
  const replies = await load.stop();
  const failed = replies.filter(({ status }) => status !== 200 && status !== 202);
  for (const { status, reason, atMs } of failed.slice(0, 5)) {
    context.note(`not 2xx: ${status} ${reason ?? ''} at ${Math.round(atMs)} ms`);
  }
  const accepted = replies.filter(({ status }) => status === 202).length;
  const { rows } = await scene.db.query<{ events: number }>(
    'SELECT count(*)::int AS events FROM event_log',
  );
  judge.equal('answers that were not 2xx', failed.length, 0);
  judge.equal('requests not sent', load.unsent(), 0);
  judge.atLeast('events in the log', rows[0]!.events, accepted);
  return {
    measures: {
      requests: replies.length,
      replaced: deploys * PROCESSES,
      'not 2xx': failed.length,
      'events accepted': accepted,
      'accepted but missing': Math.max(0, accepted - rows[0]!.events),
      p99: `${percentile(tookOf(replies), 0.99).toFixed(1)} ms`,
      'slowest during the migration': `${slowestMs.toFixed(0)} ms`,
    },
    failures: judge.failures,
  };
}

const tookOf = (replies: readonly Reply[]) => replies.map(({ tookMs }) => tookMs);

const NOBODY_READY: Reply = {
  ...{ status: 0, atMs: 0, tookMs: 0, retryAfter: null, body: null, connection: 0 },
  reason: 'no process is ready',
};

const eventOf = (index: number) => ({
  ...{ event_id: `deploy-${index}`, user_id: `u${index % USERS}`, item_id: 'i0001' },
  ...{ type: 'view', timestamp: Date.now() },
});

interface Replacement {
  readonly balancer: Balancer<VersionedApi>;
  readonly old: VersionedApi;
  readonly env: Readonly<Record<string, string>>;
  readonly deploy: number;
  readonly judge: ReturnType<typeof createJudge>;
}

/** The new process first; once it gets requests, the old one is told to end. */
async function replace(
  context: ChaosContext,
  scene: VersionScene,
  { balancer, old, env, deploy, judge }: Replacement,
): Promise<VersionedApi> {
  const next = await startApi(context, scene, `api of deploy ${deploy}`, API, env);
  balancer.add(next);
  await eventually('the new one to be ready', () => balancer.isReady(next), 30_000);
  const code = await old.stop();
  balancer.remove(old);
  judge.equal(`exit code of ${old.name}`, code ?? -1, 0);
  context.note(`${old.name} replaced by ${next.name}`);
  return next;
}

/**
 * A migration changes tables that every request reads, while a transaction reads them for seconds, as a training
 * does. Resolves to the slowest request meanwhile. No process could start after it: they do not know it.
 */
async function migrateBeneath(
  { db }: VersionScene,
  replies: readonly Reply[],
  judge: ReturnType<typeof createJudge>,
): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-chaos-migrations-'));
  try {
    await cp(migrationsFolder(), folder, { recursive: true });
    const number = String((await readMigrations(folder)).length + 1).padStart(4, '0');
    const tables = ['interactions', 'user_states', 'items', 'event_log'];
    await writeFile(
      join(folder, `${number}_columns.sql`),
      tables.map((table) => `ALTER TABLE ${table} ADD COLUMN chaos integer;`).join('\n'),
    );
    const fromMs = performance.now();
    const reading = db.transaction(async (tx) => {
      for (const table of tables) await tx.query(`SELECT count(*) FROM ${table}`);
      await tx.query('SELECT pg_sleep($1)', [LONG_READ_MS / 1_000]);
    });
    const [applied] = await Promise.all([migrate(db, folder), reading]);
    judge.equal('migrations applied under load', applied.length, 1);
    // Requests on the changed tables, by connections that knew the old ones.
    await sleep(LONG_READ_MS);
    const slowestMs = Math.max(
      0,
      ...replies.filter(({ atMs }) => atMs >= fromMs).map(({ tookMs }) => tookMs),
    );
    judge.atMost('ms that a request waited during the migration', slowestMs, LONGEST_WAIT_MS);
    return slowestMs;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
