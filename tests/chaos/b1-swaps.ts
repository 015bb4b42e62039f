/**
 * B1: versions are swapped under 300 requests a second to two API processes, while states follow: no answer mixes
 * two versions, none fails, none goes back. The broken build takes its weights from one look at the pointer and its item
 * vectors from another.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { API } from './harness/http.js';
import { broken } from './harness/stream.js';
import { eventually } from './harness/supervisor.js';
import { publishPath, saveNumbered, versionOf } from './harness/version-models.js';
import { prepareStates } from './harness/version-states.js';
import { allServe, ITEMS, makeServedScene, percentile, type Served } from './harness/versions.js';

const PER_SECOND = 300;
/** What two cores do beside everything else that a merge runs on them. */
const CI_PER_SECOND = 100;
const SWAPS = 50;
const CI_SWAPS = 6;
/** From one swap to the next in the long form: 50 in 5 minutes. */
const EVERY_MS = 6_000;
const CI_EVERY_MS = 1_000;
/** New processes are slow at first, and would make any swap look fast. */
const WARM_UP_MS = 8_000;
const CI_WARM_UP_MS = 1_000;
const STEADY_MS = 10_000;
const CI_STEADY_MS = 3_000;
/** What 2 x steady is compared with where steady is next to nothing: the promise of p99 at 500/s. */
const FLOOR_MS = 20;

export async function swapVersions(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const { note, options } = context;
  const short = options.ci || build === 'broken';
  const program = build === 'broken' ? broken('two-looks-api') : API;
  const { scene, apis, startLoad } = await makeServedScene(context, ground, {
    ...{ program, processes: 2 },
  });
  const swaps = context.scaled(short ? CI_SWAPS : SWAPS);
  const storeStatesOf = new Map<number, () => Promise<void>>();
  for (let n = 2; n <= swaps + 1; n++) {
    await saveNumbered(scene.folder, n, ITEMS);
    storeStatesOf.set(n, await prepareStates(scene, versionOf(n)));
  }
  const load = await startLoad(short ? CI_PER_SECOND : PER_SECOND);
  await sleep(short ? CI_WARM_UP_MS : WARM_UP_MS);
  const steadyFromMs = performance.now();
  await sleep(short ? CI_STEADY_MS : STEADY_MS);
  const steadyToMs = performance.now();

  const windows: (readonly [number, number])[] = [];
  const delays: number[] = [];
  for (let n = 2; n <= swaps + 1; n++) {
    const dueMs = performance.now() + (short ? CI_EVERY_MS : EVERY_MS);
    await publishPath(scene.db, join(scene.folder, versionOf(n)));
    const movedMs = performance.now();
    // As an ingest that hears of the move first: processes that have yet to follow meet the new states.
    const [delayMs] = await Promise.all([
      eventually(
        `${versionOf(n)} to serve`,
        () => (allServe(load, 2, versionOf(n), 0) ? performance.now() - movedMs : null),
        30_000,
      ),
      storeStatesOf.get(n)!(),
    ]);
    delays.push(delayMs);
    windows.push([movedMs, performance.now() + 500]);
    await sleep(Math.max(0, dueMs - performance.now()));
  }
  await load.stop();
  note(`${swaps} swaps, served after ${Math.round(Math.max(...delays))} ms at most`);

  const failed = load.served.filter(({ status }) => status !== 200);
  const took = (within: (one: Served) => boolean) =>
    load.served.filter(within).map(({ tookMs }) => tookMs);
  const steady = percentile(
    took(({ atMs }) => atMs >= steadyFromMs && atMs < steadyToMs),
    0.99,
  );
  const swapping = percentile(
    took(({ atMs }) => windows.some(([from, to]) => atMs >= from && atMs < to)),
    0.99,
  );
  const judge = createJudge();
  judge.equal('mixed answers', load.mixed.length, 0);
  judge.equal('answers that were not 200', failed.length, 0);
  judge.equal('answers that went back on their connection', load.backwards(), 0);
  judge.equal('ends of an api process', apis[0]!.unexpectedExits + apis[1]!.unexpectedExits, 0);
  judge.equal('requests not sent', load.unsent(), 0);
  judge.atLeast(
    'answers of stored states, as a part',
    load.fromStates() / load.served.length,
    0.25,
  );
  // Short runs share their machine with a build: what they measure is shown, not judged.
  if (!short) judge.atMost('p99 during a swap', swapping, Math.max(FLOOR_MS, 2 * steady));
  for (const one of load.mixed.slice(0, 5)) note(`mixed: ${one}`);
  return {
    measures: {
      requests: load.served.length,
      swaps,
      'of stored states': load.fromStates(),
      mixed: load.mixed.length,
      'not 200': failed.length,
      'went back': load.backwards(),
      'p99 steady': `${steady.toFixed(1)} ms`,
      'p99 during swaps': `${swapping.toFixed(1)} ms`,
      'slowest to follow': `${Math.round(Math.max(...delays))} ms`,
    },
    failures: judge.failures,
  };
}
