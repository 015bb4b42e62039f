/**
 * K3: three brokers, three copies, two of them in sync (docs/operations.md). One broker after another is killed
 * with -9 under load and comes back; what had a 202 is in the log and stored once, and intake goes on within the
 * time that an election takes. The broken build answers before the brokers have the events.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startKafkaCluster } from '../helpers/kafka-cluster.js';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { API, openLoop, send, superviseApi, type Reply } from './harness/http.js';
import { readTopic, withAdmin } from './harness/kafka.js';
import { startSampler } from './harness/sampler.js';
import { broken, comparisonMeasures, concludeStream, makeStream } from './harness/stream.js';
import { makeEvents, toPost } from './harness/workload.js';

const KILLS = 9;
const USERS = 499;
const BATCH = 20;
const REQUESTS_PER_SECOND = 10;
const WITHOUT_MS = 15_000;
const DOWN_MS = 8_000;
const BETWEEN_MS = 6_000;
const MOST_SECONDS = 1_200;

export async function loseOneOfThree(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { options, random, note } = context;
  const cluster = await startKafkaCluster({
    properties: { 'group.min.session.timeout.ms': '1000' },
  });
  context.defer(() => cluster.stop());
  note(`three brokers: ${cluster.brokers}`);
  const stream = await makeStream(context, ground, {
    ...{ brokers: cluster.brokers, replicationFactor: 3 },
  });
  const { db, items } = stream.scene;
  const program = build === 'broken' ? broken('hasty-api') : API;
  const api = await superviseApi(context, stream, { program });
  const ingest = stream.ingest('ingest');
  const sampler = startSampler(db, { intervalMs: 500, exact: false });
  await api.start();
  await ingest.start();

  const all = makeEvents({
    ...{ seed: options.seed, users: USERS, items, startMs: Date.now() - 86_400_000 },
    events: MOST_SECONDS * REQUESTS_PER_SECOND * BATCH,
  });
  const accepted = new Set<string>();
  const loop = openLoop(REQUESTS_PER_SECOND, async (index) => {
    const batch = all.slice(index * BATCH, (index + 1) * BATCH);
    const reply = await send(api, 'POST', '/v1/events', { events: batch.map(toPost) });
    if (reply.status === 202) for (const { eventId } of batch) accepted.add(eventId);
    return reply;
  });
  const judge = createJudge();
  await sleep(BETWEEN_MS);
  judge.atLeast('202 before the first kill', accepted.size, 1);
  const kills = context.scaled(KILLS);
  for (let n = 0; n < kills; n++) {
    const victim = cluster.nodes[random.int(cluster.nodes.length)]!;
    await victim.kill();
    note(`${victim.brokers} killed; ${accepted.size} accepted`);
    await sleep(DOWN_MS);
    await victim.start();
    await inSync(cluster.brokers, stream.topic);
    note('back, and all copies in sync');
    await sleep(BETWEEN_MS);
  }
  const replies = await loop.stop();
  const longestMs = longestWithout(replies);
  note(`${accepted.size} accepted; longest time without a 202: ${Math.round(longestMs)} ms`);

  const inLog = new Set<string>();
  for (const { value } of await readTopic(stream.brokers, stream.topic)) {
    inLog.add((JSON.parse(String(value)) as { event_id: string }).event_id);
  }
  const missing = [...accepted].filter((id) => !inLog.has(id)).length;
  judge.equal('ids with a 202 that the log does not have', missing, 0);
  judge.atMost('ms without a 202', Math.round(longestMs), WITHOUT_MS);
  const comparison = await concludeStream(context, build, {
    ...{ stream, sampler, judge, processes: [ingest], keepsPositions: true },
    truth: all.filter((event) => inLog.has(event.eventId)),
  });
  judge.equal('unexpected ends of the api', api.unexpectedExits, 0);
  return {
    measures: {
      'brokers killed': kills,
      'got 202': accepted.size,
      'requests refused': replies.filter(({ status }) => status !== 202).length,
      requests: replies.length,
      'longest without a 202': `${(longestMs / 1_000).toFixed(1)} s`,
      '202 but missing': missing,
      ...comparisonMeasures(comparison),
    },
    failures: judge.failures,
  };
}

/** Longest time between two answers 202, by when they came. */
function longestWithout(replies: readonly Reply[]): number {
  const times = replies
    .filter(({ status }) => status === 202)
    .map(({ atMs, tookMs }) => atMs + tookMs)
    .sort((a, b) => a - b);
  return times.reduce(
    (longest, at, index) => Math.max(longest, index === 0 ? 0 : at - times[index - 1]!),
    0,
  );
}

/** Another broker is lost only when every partition has its three copies again: one at a time is the promise. */
async function inSync(brokers: string, topic: string): Promise<void> {
  for (;;) {
    const whole = await withAdmin(brokers, async (admin) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic, '__consumer_offsets'] });
      return topics.every((one) => one.partitions.every(({ isr }) => isr.length === 3));
    }).catch(() => false);
    if (whole) return;
    await sleep(200);
  }
}
