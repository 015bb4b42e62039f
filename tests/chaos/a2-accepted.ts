/**
 * A2: HTTP 202 means durable. Twenty clients post through a proxy while the API and the broker are killed and
 * connections are reset. Every id that got a 202 is stored once; one without an answer once or not at
 * all. The broken build answers before the broker has the events.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '@nestrec/random';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { API, send, superviseApi, type Target } from './harness/http.js';
import { readTopic } from './harness/kafka.js';
import { startProxy } from './harness/proxy.js';
import { startSampler } from './harness/sampler.js';
import { broken, comparisonMeasures, concludeStream, makeStream } from './harness/stream.js';
import { makeEvents, toPost, type WorkloadEvent } from './harness/workload.js';

const EVENTS = 100_000;
const TWIN_EVENTS = 20_000;
const USERS = 997;
const CLIENTS = 20;
const BATCH = 50;
/** Pause of a client between two requests, uniform from 0 to this: sets the rate of the run. */
const CLIENT_PAUSE_MS = 2_000;
/** A client that was refused does not come again at once. */
const AFTER_REFUSAL_MS = 1_000;
/** Clients go on until the last fault, so there have to be more events than are asked for. */
const SPARE = 5;
/** How often each fault comes. */
const FAULTS = { api: 20, broker: 10, reset: 20 };
const TWIN_FAULTS = { api: 4, broker: 2, reset: 0 };

export async function acceptThroughFaults(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { options, random, note } = context;
  const twin = build === 'broken';
  const stream = await makeStream(context, ground);
  const { db, items } = stream.scene;
  const least = context.scaled(twin ? TWIN_EVENTS : EVENTS);
  const all = makeEvents({
    ...{ seed: options.seed, events: SPARE * least, users: USERS, items },
    startMs: Date.now() - 86_400_000,
  });
  const program = twin ? broken('hasty-api') : API;
  const api = await superviseApi(context, stream, { program, brokers: ground.proxiedBrokers });
  const front = await startProxy(api.port, random.fork('front proxy'));
  context.defer(() => front.stop());
  const ingest = stream.ingest('ingest');
  const sampler = startSampler(db, { intervalMs: 250, exact: false });
  await api.start();
  await ingest.start();

  const posting = postAll({
    target: { url: `http://127.0.0.1:${front.port}`, key: api.key },
    ...{ events: all, least, random },
  });
  const wanted = twin ? TWIN_FAULTS : FAULTS;
  const list = Object.entries(wanted).flatMap(([kind, count]) =>
    new Array<string>(count === 0 ? 0 : context.scaled(count)).fill(kind),
  );
  const faults = random.shuffle(list);
  let done = 0;
  for (; done < faults.length; done++) {
    await sleep(300 + random.int(1_800));
    if (faults[done] === 'api') {
      await api.kill();
      await api.start();
      note(`api killed; ${posting.accepted.size} accepted`);
    } else if (faults[done] === 'broker') {
      await ground.kafka.kill();
      await ground.kafka.start();
      note(`broker killed; ${posting.accepted.size} accepted`);
      await sleep(1_000 + random.int(2_000));
    } else {
      const before = random.uniform() < 0.5;
      const cut = (before ? front : ground.kafkaProxy).resetPeers();
      note(`${cut} connections reset before the ${before ? 'api' : 'broker'}`);
    }
  }
  await posting.finish();
  note(`all posted: ${posting.accepted.size} events accepted, ${posting.unanswered.size} not`);

  const judge = createJudge();
  judge.holds('clients posted until the last fault', posting.posted() < all.length);
  judge.atLeast('ids with a 202', posting.accepted.size, least / 2);
  const inLog = new Set<string>();
  for (const { value } of await readTopic(stream.brokers, stream.topic)) {
    inLog.add((JSON.parse(String(value)) as { event_id: string }).event_id);
  }
  const missing = [...posting.accepted].filter((id) => !inLog.has(id)).length;
  judge.equal('ids with a 202 that the log does not have', missing, 0);
  const truth = all.filter((event) => inLog.has(event.eventId));
  const comparison = await concludeStream(context, build, {
    keepsPositions: true,
    ...{ stream, truth, processes: [ingest], sampler, judge },
  });
  judge.equal('unexpected ends of the api', api.unexpectedExits, 0);
  const times = (kind: string) => faults.slice(0, done).filter((fault) => fault === kind).length;
  return {
    measures: {
      posted: posting.posted(),
      'got 202': posting.accepted.size,
      'got none': posting.unanswered.size,
      'of these stored': truth.filter((event) => posting.unanswered.has(event.eventId)).length,
      'api killed': times('api'),
      'broker killed': times('broker'),
      resets: times('reset'),
      '202 but missing': missing,
      ...comparisonMeasures(comparison),
    },
    failures: judge.failures,
  };
}

/**
 * Twenty clients share the events; none sends one again, whatever the answer. They end once `finish` is called
 * and `least` events were posted.
 */
function postAll(options: {
  readonly target: Target;
  readonly events: readonly WorkloadEvent[];
  readonly least: number;
  readonly random: Random;
}) {
  const { target, events, least, random } = options;
  const accepted = new Set<string>();
  const unanswered = new Set<string>();
  let next = 0;
  let finishing = false;
  const client = async (chance: Random) => {
    while (next < events.length && !(finishing && next >= least)) {
      const batch = events.slice(next, next + BATCH);
      next += BATCH;
      const reply = await send(target, 'POST', '/v1/events', { events: batch.map(toPost) });
      const into = reply.status === 202 ? accepted : unanswered;
      for (const { eventId } of batch) into.add(eventId);
      await sleep(chance.int(CLIENT_PAUSE_MS) + (reply.status === 202 ? 0 : AFTER_REFUSAL_MS));
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, i) => client(random.fork(`client ${i}`)));
  return {
    ...{ accepted, unanswered },
    posted: () => next,
    finish: async () => {
      finishing = true;
      await Promise.all(clients);
    },
  };
}
