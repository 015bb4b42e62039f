/**
 * B2: ten rollbacks under load. Each is served within 2 s of the command, nothing fails, and what 1,000
 * users get is to the byte what they got when that version served before. The broken build does not listen
 * and looks at the pointer every 15 seconds.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { rollback } from '@nestrec/publishing';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { API } from './harness/http.js';
import { broken } from './harness/stream.js';
import { eventually } from './harness/supervisor.js';
import { saveNumbered, versionOf } from './harness/version-models.js';
import { prepareStates } from './harness/version-states.js';
import {
  allServe,
  answersOf,
  ITEMS,
  makeServedScene,
  publishNumbered,
  USERS,
} from './harness/versions.js';

const PER_SECOND = 200;
const ROLLBACKS = 10;
const SERVED_WITHIN_MS = 2_000;

export async function rollBack(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const users = Array.from({ length: context.scaled(USERS) }, (_, user) => user);
  const program = build === 'broken' ? broken('deaf-api') : API;
  const { scene, apis, startLoad } = await makeServedScene(context, ground, {
    ...{ program, processes: 2 },
  });
  const before = new Map([[versionOf(1), await answersOf(apis[0]!, users)]]);
  await saveNumbered(scene.folder, 2, ITEMS);
  await publishNumbered(scene, 2);
  const storeStatesOf = new Map<string, () => Promise<void>>();
  for (const n of [1, 2]) {
    storeStatesOf.set(versionOf(n), await prepareStates(scene, versionOf(n)));
  }
  const load = await startLoad(PER_SECOND, 2);
  before.set(versionOf(2), await answersOf(apis[0]!, users));

  let differing = 0;
  const delays: number[] = [];
  for (let n = 0; n < context.scaled(build === 'broken' ? 3 : ROLLBACKS); n++) {
    await sleep(500 + context.random.int(1_000));
    const commandMs = performance.now();
    const { version } = await rollback(scene.db);
    await eventually(`${version} to serve`, () => allServe(load, 2, version, commandMs), 60_000);
    // The last request that the old version answered.
    const old = load.served.filter((one) => one.status === 200 && one.version !== version);
    delays.push(Math.max(0, ...old.map(({ atMs }) => atMs - commandMs)));
    // Ingest makes states of what serves now; then answers come from the same as before.
    await storeStatesOf.get(version)!();
    const now = await answersOf(apis[n % 2]!, users);
    differing += now.filter((answer, i) => answer !== before.get(version)![i]).length;
  }
  await load.stop();
  const failed = load.served.filter(({ status }) => status !== 200).length;
  const judge = createJudge();
  judge.atMost('ms until a rollback serves', Math.max(...delays), SERVED_WITHIN_MS);
  judge.equal('answers that differ from those before', differing, 0);
  judge.equal('answers that were not 200', failed, 0);
  judge.equal('mixed answers', load.mixed.length, 0);
  return {
    measures: {
      requests: load.served.length,
      rollbacks: delays.length,
      'not 200': failed,
      'of stored states': load.fromStates(),
      mixed: load.mixed.length,
      'slowest to serve': `${Math.round(Math.max(...delays))} ms`,
      'answers compared': delays.length * users.length,
      differing,
    },
    failures: judge.failures,
  };
}
