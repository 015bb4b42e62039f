/**
 * A5: a topic whose number of partitions changed is refused at the start, because users would move between
 * partitions. (That states equal the replay of the stored events is asked at the end of every other run.)
 * The broken build does not look.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { startLoad, withAdmin } from './harness/kafka.js';
import { broken, catchUp, INGEST, makeStream } from './harness/stream.js';
import { compareWithReplay } from './harness/verify.js';
import { makeEvents, toRecord } from './harness/workload.js';

const EVENTS = 20_000;
const USERS = 997;
const REFUSED_WITHIN_MS = 20_000;
const MESSAGE = /partition/i;

export async function changePartitions(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const stream = await makeStream(context, ground);
  const { db, items, model } = stream.scene;
  const truth = makeEvents({
    ...{ seed: context.options.seed, events: context.scaled(EVENTS), users: USERS, items },
    startMs: Date.now() - 86_400_000,
  });
  const program = build === 'broken' ? broken('naive-ingest') : INGEST;
  const ingest = stream.ingest('ingest', { program });
  await ingest.start();
  await startLoad(stream.brokers, stream.topic, truth.map(toRecord), Infinity).done;
  const judge = createJudge();
  judge.holds('came to the end', await catchUp(context, stream, build, truth.length));
  await ingest.stop();
  const replay = await compareWithReplay(db, model);
  judge.equal('states that differ from their replay', replay.differing, 0);

  await withAdmin(stream.brokers, (admin) =>
    admin.createPartitions({ topicPartitions: [{ topic: stream.topic, count: 8 }] }),
  );
  context.note('partitions changed from 4 to 8');
  const second = stream.ingest('ingest after the change', { program });
  await second.start();
  const deadline = performance.now() + REFUSED_WITHIN_MS;
  while (second.unexpectedExits === 0 && performance.now() < deadline) await sleep(50);
  const refused = second.unexpectedExits > 0;
  judge.holds('ingest refused to start on 8 partitions', refused);
  const said = second.output();
  judge.holds('its message names partitions, 4 and 8', MESSAGE.test(said) && /\b8\b/.test(said));
  await second.kill();
  const last = said.trim().split('\n').at(-1) ?? '';
  context.note(`it said: ${last.slice(0, 300)}`);
  return {
    measures: {
      users: replay.users,
      'states that differ': replay.differing,
      'worst difference': replay.worstError.toExponential(1),
      '4 to 8 partitions': refused ? 'refused' : 'not refused',
    },
    failures: judge.failures,
  };
}
