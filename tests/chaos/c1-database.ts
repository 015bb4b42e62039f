/**
 * C1: the database restarts under 300 requests a second: short errors that say so, then healthy, never the
 * end of the process. The broken build's pool has no listener for errors of idle connections.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { API, openLoop, send, superviseApi, type Reply } from './harness/http.js';
import { startLoad } from './harness/kafka.js';
import { broken, catchUp, makeStream } from './harness/stream.js';
import { makeEvents, toRecord } from './harness/workload.js';

const REQUESTS_PER_SECOND = 300;
/** Few enough that some connections are idle when the server goes, on any machine. */
const TWIN_REQUESTS_PER_SECOND = 20;
const RESTARTS_EACH = 5;
const USERS = 50;
const EVENTS = 1_000;
const HEALTHY_WITHIN_MS = 5_000;
const KINDS = ['fast', 'immediate', 'kill -9'] as const;

export async function restartDatabase(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { options, random, note } = context;
  const stream = await makeStream(context, ground);
  const events = makeEvents({
    ...{ seed: options.seed, events: EVENTS, users: USERS, items: stream.scene.items },
    startMs: Date.now() - 86_400_000,
  });
  const ingest = stream.ingest('ingest');
  await ingest.start();
  await startLoad(stream.brokers, stream.topic, events.map(toRecord), Infinity).done;
  if (!(await catchUp(context, stream, 'product', EVENTS))) throw new Error('no states to serve');
  await ingest.stop();
  const program = build === 'broken' ? broken('fragile-pool-api') : API;
  const api = await superviseApi(context, stream, { program });
  await api.start();

  const pathOf = (user: number) => `/v1/users/u${user}/recommendations?k=10`;
  const answers = new Map<number, string>();
  for (let user = 0; user < USERS; user++) {
    const { status, body } = await send(api, 'GET', pathOf(user));
    if (status !== 200) throw new Error(`no answer to compare with: ${status}`);
    answers.set(user, itemsOf(body));
  }
  let wrongAnswers = 0;
  const perSecond = build === 'broken' ? TWIN_REQUESTS_PER_SECOND : REQUESTS_PER_SECOND;
  const load = openLoop(perSecond, async (index) => {
    const user = index % USERS;
    const reply = await send(api, 'GET', pathOf(user));
    if (reply.status === 200 && itemsOf(reply.body) !== answers.get(user)) wrongAnswers += 1;
    return reply;
  });
  const each = context.scaled(build === 'broken' ? 1 : RESTARTS_EACH);
  const kinds = random.shuffle(KINDS.flatMap((kind) => new Array<typeof kind>(each).fill(kind)));
  const recoveries: number[] = [];
  for (const kind of kinds) {
    await sleep(1_000 + random.int(1_000));
    if (kind === 'kill -9') await ground.postgres.kill();
    else await ground.postgres.halt(kind);
    // Down for a moment, so that requests meet it.
    await sleep(random.int(1_500));
    await ground.postgres.start();
    const upAtMs = performance.now();
    const healthyMs = await healthyAfter(load.replies, upAtMs);
    recoveries.push(healthyMs);
    note(`${kind}: 200 again after ${Math.round(healthyMs)} ms`);
  }
  await sleep(1_000);
  const replies = await load.stop();
  const failures = replies.filter(({ status }) => status !== 200);
  const unfit = failures.filter(({ status, retryAfter }) => status !== 503 || retryAfter === null);
  const judge = createJudge();
  judge.equal('ends of the api process', api.unexpectedExits, 0);
  judge.equal('failures other than 503 with Retry-After', unfit.length, 0);
  judge.equal('wrong answers', wrongAnswers, 0);
  judge.atMost('ms until 200 again', Math.max(...recoveries), HEALTHY_WITHIN_MS);
  judge.atLeast('failures (or nothing was tested)', failures.length, 1);
  for (const one of unfit.slice(0, 5)) note(`unfit: ${one.status} ${one.reason ?? ''}`);
  return {
    measures: {
      requests: replies.length,
      'not sent': load.unsent(),
      restarts: kinds.length,
      'answered 503': failures.length - unfit.length,
      'other failures': unfit.length,
      'process ends': api.unexpectedExits,
      'wrong answers': wrongAnswers,
      'slowest recovery': `${(Math.max(...recoveries) / 1_000).toFixed(1)} s`,
    },
    failures: judge.failures,
  };
}

/** Milliseconds from `upAtMs` until the first request that began after it was answered 200. */
async function healthyAfter(replies: readonly Reply[], upAtMs: number): Promise<number> {
  let at = replies.length;
  while (performance.now() - upAtMs < 4 * HEALTHY_WITHIN_MS) {
    for (; at < replies.length; at++) {
      const { status, atMs, tookMs } = replies[at]!;
      if (status === 200 && atMs >= upAtMs) return atMs + tookMs - upAtMs;
    }
    await sleep(10);
  }
  return Infinity;
}

function itemsOf(body: unknown): string {
  const { items } = body as { items: { item_id: string; score: number }[] };
  return JSON.stringify(items.map(({ item_id, score }) => [item_id, score]));
}
