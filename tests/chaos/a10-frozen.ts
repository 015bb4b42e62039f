/**
 * A10: an ingest process is frozen, half of the times inside its transaction, for three session timeouts. The
 * other takes its partitions over in time, and nothing is lost or doubled when the frozen one
 * wakes. The broken build lets a transaction sleep for ever: its row locks then hold the partition.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@nestrec/database';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { startLoad } from './harness/kafka.js';
import { startProxy } from './harness/proxy.js';
import { startSampler, type Sampler } from './harness/sampler.js';
import {
  broken,
  comparisonMeasures,
  concludeStream,
  INGEST,
  makeStream,
  SESSION_TIMEOUT_MS,
} from './harness/stream.js';
import { eventually, type Supervised } from './harness/supervisor.js';
import { makeEvents, toRecord } from './harness/workload.js';

const ROUNDS = 10;
/** One inside a transaction, one outside. */
const CI_ROUNDS = 2;
const TWIN_ROUNDS = 2;
const USERS = 997;
const EVENTS_PER_SECOND = 300;
/** More than all rounds take; the load ends with them. */
const MOST_SECONDS = 400;
/** The product's idle_in_transaction_session_timeout. */
const IDLE_TIMEOUT_MS = 5_000;
const GRACE_MS = 3_000;
const FROZEN_MS = 3 * SESSION_TIMEOUT_MS;
const PROGRESS_WITHIN_MS = SESSION_TIMEOUT_MS + IDLE_TIMEOUT_MS + GRACE_MS;
/** Makes a transaction take long enough to be caught inside. */
const LATENCY_MS = 4;

interface Member {
  readonly process: Supervised;
  /** Its database user, by which its sessions are known. */
  readonly role: string;
}

export async function freezeIngest(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { options, random, note } = context;
  const whole = options.ci ? CI_ROUNDS : ROUNDS;
  const rounds = context.scaled(build === 'broken' ? TWIN_ROUNDS : whole);
  const stream = await makeStream(context, ground);
  const { db, items } = stream.scene;
  const all = makeEvents({
    ...{ seed: options.seed, events: EVENTS_PER_SECOND * MOST_SECONDS, users: USERS, items },
    startMs: Date.now() - 86_400_000,
  });
  const port = Number(new URL(stream.scene.url).port);
  const proxy = await startProxy(port, random.fork('proxy'));
  context.defer(() => proxy.stop());
  await proxy.set({ latencyMs: LATENCY_MS, jitterMs: LATENCY_MS });
  const program = build === 'broken' ? broken('ingest-without-idle-timeout') : INGEST;
  const members: Member[] = [];
  for (const name of ['a', 'b']) {
    const role = `${stream.group.replaceAll('.', '_')}_${name}`;
    await db.execute(`CREATE ROLE ${role} LOGIN SUPERUSER`);
    const url = new URL(stream.scene.url);
    url.port = String(proxy.port);
    url.username = role;
    const env = { DATABASE_URL: url.href };
    members.push({ process: stream.ingest(`ingest ${name}`, { program, env }), role });
  }
  const sampler = startSampler(db, { intervalMs: 100, exact: true });
  const stopping = new AbortController();
  const load = startLoad(stream.brokers, stream.topic, all.map(toRecord), EVENTS_PER_SECOND, {
    stop: stopping.signal,
  });
  for (const member of members) await member.process.start();

  const judge = createJudge();
  const takeovers: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const [frozen, other] = random.shuffle([...members]) as [Member, Member];
    const inside = round % 2 === 0;
    await bothAtWork(db, sampler, members);
    await freeze(db, frozen, inside, random.int(200));
    const tookMs = await takeover(sampler);
    takeovers.push(tookMs);
    const where = inside ? 'inside' : 'outside';
    const after = Number.isFinite(tookMs) ? `${Math.round(tookMs)} ms` : 'never';
    note(
      `round ${round + 1}: ${frozen.role.at(-1)} frozen ${where} a transaction; all partitions went on after ${after}`,
    );
    judge.atMost(
      `round ${round + 1} (${where}): ms until ${other.role.at(-1)} went on with all partitions`,
      tookMs,
      PROGRESS_WITHIN_MS,
    );
    frozen.process.thaw();
  }
  stopping.abort();
  await load.done;
  const truth = all.slice(0, load.sent());
  const comparison = await concludeStream(context, build, {
    keepsPositions: true,
    ...{ stream, truth, processes: members.map(({ process }) => process), sampler, judge },
  });
  const longest = Math.max(...takeovers);
  return {
    measures: {
      rounds,
      'longest takeover': Number.isFinite(longest) ? `${(longest / 1_000).toFixed(1)} s` : 'never',
      ...comparisonMeasures(comparison),
    },
    failures: judge.failures,
  };
}

/** Both have sessions, and every partition moves: the group is settled. */
async function bothAtWork(db: Database, sampler: Sampler, members: readonly Member[]) {
  const fromMs = Date.now();
  const isBusy = async ({ role }: Member) => {
    const { rows } = await db.query<{ busy: boolean }>(
      `SELECT bool_or(state_change > now() - interval '1 second' AND query <> '') AS busy
       FROM pg_stat_activity WHERE usename = $1`,
      [role],
    );
    return rows[0]?.busy === true;
  };
  await eventually(
    'both at work and every partition moving',
    async () => {
      const moving = sampler.samples.filter(
        ({ atMs }) => atMs > Math.max(fromMs, Date.now() - 2_000),
      );
      const first = moving[0]?.next;
      const last = moving.at(-1)?.next;
      if (first === undefined || last === undefined || last.size < 4) return false;
      if (![...last].every(([partition, next]) => next > (first.get(partition) ?? 0n)))
        return false;
      for (const member of members) if (!(await isBusy(member))) return false;
      return true;
    },
    60_000,
  );
}

interface SessionRow extends Record<string, unknown> {
  state: string;
  holds_position: boolean;
}

/** A transaction that has yet to lock its position blocks nobody: RowShareLock is that of FOR UPDATE. */
const SESSIONS = `
  SELECT state, EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.mode = 'RowShareLock'
    AND l.relation = 'consumer_positions'::regclass) AS holds_position
  FROM pg_stat_activity a WHERE usename = $1`;

/** Freezes it where it is wanted: inside a transaction (the server waits for it) or outside. */
async function freeze(db: Database, member: Member, inside: boolean, afterMs: number) {
  await sleep(afterMs);
  for (let attempt = 0; attempt < 500; attempt++) {
    member.process.freeze();
    // Statements under way come to their end.
    await sleep(60);
    const { rows } = await db.query<SessionRow>(SESSIONS, [member.role]);
    const running = rows.some(({ state }) => state === 'active');
    const open = rows.some(({ state }) => state.startsWith('idle in transaction'));
    const holding = rows.some((row) => row.state === 'idle in transaction' && row.holds_position);
    if (!running && (inside ? holding : !open)) return;
    member.process.thaw();
    await sleep(10 + (attempt % 37));
  }
  throw new Error(`${member.role} was never caught ${inside ? 'inside' : 'outside'} a transaction`);
}

/** Milliseconds from now until every partition has moved; Infinity where that takes far too long. */
async function takeover(sampler: Sampler): Promise<number> {
  const startedAtMs = performance.now();
  await sleep(300);
  const before = sampler.latest()!.next;
  let tookMs = Infinity;
  const longestMs = PROGRESS_WITHIN_MS + 2_000;
  while (performance.now() - startedAtMs < (Number.isFinite(tookMs) ? FROZEN_MS : longestMs)) {
    const now = sampler.latest()!.next;
    const moved = [...now].every(([partition, next]) => next > (before.get(partition) ?? 0n));
    if (moved && !Number.isFinite(tookMs)) tookMs = performance.now() - startedAtMs;
    await sleep(50);
  }
  return tookMs;
}
