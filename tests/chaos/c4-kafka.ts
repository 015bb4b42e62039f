/**
 * C4: Kafka is down, silent, or resets connections: the intake says so within two seconds and never claims
 * what it does not have, recommendations go on, and the intake is back soon after. The broken build's
 * producer waits as long as its client likes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { API, openLoop, send, superviseApi, type Reply } from './harness/http.js';
import { readTopic } from './harness/kafka.js';
import type { Faults } from './harness/proxy.js';
import { broken, makeStream } from './harness/stream.js';

const FAULT_MS = 60_000;
const TWIN_FAULT_MS = 15_000;
const INTAKE_PER_SECOND = 20;
const READS_PER_SECOND = 50;
const ANSWER_WITHIN_MS = 2_000;
const BACK_WITHIN_MS = 10_000;
/** Requests that were under way when a fault came or went may end either way. */
const FAULTS: readonly { readonly name: string; readonly faults: Faults }[] = [
  { name: 'down', faults: { down: true } },
  { name: 'silent', faults: { silent: true } },
  { name: 'reset', faults: { reset: true } },
];

export async function loseKafka(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { note } = context;
  const faultMs = context.scaled(build === 'broken' ? TWIN_FAULT_MS : FAULT_MS);
  const stream = await makeStream(context, ground);
  const { items } = stream.scene;
  const program = build === 'broken' ? broken('patient-api') : API;
  const api = await superviseApi(context, stream, { program, brokers: ground.proxiedBrokers });
  await api.start();
  const accepted = new Set<string>();
  const intake = openLoop(INTAKE_PER_SECOND, async (index) => {
    const eventId = `c4-${index}`;
    const event = { event_id: eventId, user_id: `u${index % 97}`, item_id: items[index % 60]! };
    const reply = await send(api, 'POST', '/v1/events', { events: [event] });
    if (reply.status === 202) accepted.add(eventId);
    return reply;
  });
  const reads = openLoop(READS_PER_SECOND, (index) =>
    send(api, 'GET', `/v1/users/u${index % 97}/recommendations?k=10`),
  );

  const judge = createJudge();
  const windows: { fromMs: number; untilMs: number }[] = [];
  const backs: number[] = [];
  await sleep(3_000);
  judge.atLeast('intake 202 before the first fault', accepted.size, 1);
  for (const { name, faults } of FAULTS) {
    const fromMs = performance.now();
    await ground.kafkaProxy.set(faults);
    await sleep(faultMs);
    await ground.kafkaProxy.set({});
    const healedAtMs = performance.now();
    windows.push({ fromMs, untilMs: healedAtMs });
    const backMs = await backAfter(intake.replies, healedAtMs);
    backs.push(backMs);
    note(`${name}: intake back ${Math.round(backMs)} ms after`);
    judge.atMost(`${name}: ms until the intake was back`, backMs, BACK_WITHIN_MS);
    await sleep(3_000);
  }
  const posts = await intake.stop();
  const gets = await reads.stop();

  const during = posts.filter(({ atMs, tookMs }) =>
    windows.some(({ fromMs, untilMs }) => atMs >= fromMs && atMs + tookMs <= untilMs),
  );
  const refused = during.filter(({ status }) => status === 503);
  // By the client's clock; 200 ms for the machine that runs both.
  const slowest = Math.max(0, ...posts.map(({ tookMs }) => tookMs));
  judge.atMost('slowest answer of the intake, ms', Math.round(slowest), ANSWER_WITHIN_MS + 200);
  judge.equal('intake answers in a fault other than 503', during.length - refused.length, 0);
  judge.holds(
    '503 says when to come again',
    refused.every(({ retryAfter }) => retryAfter !== null),
  );
  judge.atLeast('503 seen (or nothing was tested)', refused.length, 1);
  const notOk = gets.filter(({ status }) => status !== 200).length;
  judge.equal('recommendations other than 200', notOk, 0);
  const inLog = new Set<string>();
  for (const { value } of await readTopic(stream.brokers, stream.topic)) {
    inLog.add((JSON.parse(String(value)) as { event_id: string }).event_id);
  }
  const claimed = [...accepted].filter((id) => !inLog.has(id)).length;
  judge.equal('false 202', claimed, 0);
  judge.equal('ends of the api process', api.unexpectedExits, 0);
  return {
    measures: {
      'intake 503 in faults': `${refused.length} of ${during.length}`,
      'slowest answer': `${(slowest / 1_000).toFixed(2)} s`,
      'false 202': claimed,
      'recommendations 200': `${gets.length - notOk} of ${gets.length}`,
      'slowest way back': `${(Math.max(...backs) / 1_000).toFixed(1)} s`,
    },
    failures: judge.failures,
  };
}

/** Milliseconds from `sinceMs` until the intake first said 202 to a request that began later. */
async function backAfter(replies: readonly Reply[], sinceMs: number): Promise<number> {
  let at = 0;
  while (performance.now() - sinceMs < 3 * BACK_WITHIN_MS) {
    for (; at < replies.length; at++) {
      const { status, atMs, tookMs } = replies[at]!;
      if (status === 202 && atMs >= sinceMs) return atMs + tookMs - sinceMs;
    }
    await sleep(20);
  }
  return Infinity;
}
