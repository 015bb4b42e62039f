/**
 * A3: an HTTP retry is harmless. Each event is posted one to five times, concurrently; some ids also with
 * another body: within one request that is 409 and nothing of it is stored; in a later request the first
 * stands and the other is dead-lettered. The broken build counts every copy.
 */
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { send, superviseApi, type Reply } from './harness/http.js';
import { readTopic } from './harness/kafka.js';
import {
  broken,
  comparisonMeasures,
  concludeStream,
  INGEST,
  makeStream,
} from './harness/stream.js';
import { makeEvents, toPost, type WorkloadEvent } from './harness/workload.js';
import { countRejectsByReason } from '@nestrec/storage';

const EVENTS = 100_000;
const TWIN_EVENTS = 10_000;
const USERS = 997;
const CLIENTS = 20;
const BATCH = 100;
const MOST_COPIES = 5;
const CONFLICTS = 500;

type Post = readonly ReturnType<typeof toPost>[];

export async function retryPosts(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { options, random, note } = context;
  const stream = await makeStream(context, ground);
  const { items } = stream.scene;
  const count = context.scaled(build === 'broken' ? TWIN_EVENTS : EVENTS);
  const truth = makeEvents({
    ...{ seed: options.seed, events: count, users: USERS, items },
    startMs: Date.now() - 86_400_000,
  });
  const api = await superviseApi(context, stream, {});
  const program = build === 'broken' ? broken('naive-ingest') : INGEST;
  const ingest = stream.ingest('ingest', { program });
  await api.start();
  await ingest.start();

  const judge = createJudge();
  const post = (events: Post) => send(api, 'POST', '/v1/events', { events });
  const copies: Post[] = [];
  for (let at = 0; at < truth.length; at += BATCH) {
    const batch = truth.slice(at, at + BATCH).map(toPost);
    for (let copy = 1 + random.int(MOST_COPIES); copy > 0; copy--) copies.push(batch);
  }
  // Neighbours, so that copies of one batch travel at the same time.
  const posted = await postConcurrently(copies, post);
  judge.equal('posts that were not 202', posted.filter((status) => status !== 202).length, 0);
  note(`${count} events posted in ${copies.length} requests of ${BATCH}`);

  const changed = random.shuffle([...truth]).slice(0, context.scaled(CONFLICTS));
  const otherItem = (event: WorkloadEvent) =>
    items[(items.indexOf(event.itemId) + 1 + random.int(items.length - 1)) % items.length]!;
  const others = changed.map((event) => ({ ...toPost(event), item_id: otherItem(event) }));
  const within = await postConcurrently(
    others.map((other, i) => [toPost(changed[i]!), other]),
    post,
  );
  const refused = within.filter((status) => status === 409).length;
  judge.equal('changed bodies within one request: 409', refused, others.length);
  const across = await postConcurrently(
    others.map((other) => [other]),
    post,
  );
  judge.equal(
    'changed bodies in a later request: 202',
    across.filter((s) => s === 202).length,
    others.length,
  );
  note(`${others.length} ids posted with another body, within one request and in a later one`);

  const comparison = await concludeStream(context, build, {
    ...{ stream, truth, processes: [ingest], sampler: null, judge },
  });
  const conflicts = await deadLettered(stream.scene.db);
  judge.equal('dead letters event_id_conflict', conflicts, others.length);
  const records = (await readTopic(stream.brokers, stream.topic)).length;
  judge.equal('unexpected ends of the api', api.unexpectedExits, 0);
  return {
    measures: {
      'records in the log': records,
      '409 within a request': refused,
      'dead-lettered across requests': conflicts,
      ...comparisonMeasures(comparison),
    },
    failures: judge.failures,
  };
}

async function deadLettered(db: Parameters<typeof countRejectsByReason>[0]): Promise<number> {
  return Number((await countRejectsByReason(db)).get('event_id_conflict') ?? 0n);
}

/** Statuses in the order of the posts; never more than twenty at a time. */
async function postConcurrently(
  posts: readonly Post[],
  post: (events: Post) => Promise<Reply>,
): Promise<number[]> {
  const statuses = new Array<number>(posts.length).fill(0);
  let next = 0;
  const client = async () => {
    for (let at = next++; at < posts.length; at = next++)
      statuses[at] = (await post(posts[at]!)).status;
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return statuses;
}
