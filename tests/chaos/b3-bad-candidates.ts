/**
 * B3: bad candidates of every kind of reliability.md section 2E, under load: refused when they are to be
 * published, and where one rots after its publish, the old version serves on. The first requests of a good
 * version are no slower than twice the usual. The broken build lets go of the old model before it has the
 * next.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { registerVersion, swapPublished } from '@nestrec/storage';
import { loadArtifact } from '@nestrec/registry';
import { DAMAGES } from '../helpers/damage.js';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { API, send, type Target } from './harness/http.js';
import { broken } from './harness/stream.js';
import { eventually } from './harness/supervisor.js';
import { saveNumbered, versionOf } from './harness/version-models.js';
import {
  allServe,
  ITEMS,
  makeServedScene,
  percentile,
  publishNumbered,
  type VersionScene,
} from './harness/versions.js';

const PER_SECOND = 100;
const CI_PER_SECOND = 50;
const STEADY_MS = 5_000;
const CI_STEADY_MS = 2_000;
/** After the first answer of a version; what the first requests of it are. */
const FIRST_MS = 1_000;
const FLOOR_MS = 20;
/** Good to begin with, one that follows it, and one whose metric is worse than the gate allows. */
const [GOOD, NEXT, WORSE, FIRST_BAD] = [1, 2, 3, 4] as const;

export async function refuseBadCandidates(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const short = context.options.ci || build === 'broken';
  const program = build === 'broken' ? broken('hasty-swap-api') : API;
  const { scene, apis, startLoad } = await makeServedScene(context, ground, {
    ...{ program, processes: 1, ndcg: 0.05 },
  });
  const api = apis[0]!;
  const load = await startLoad(short ? CI_PER_SECOND : PER_SECOND);

  const taken: string[] = [];
  const refuse = async (n: number, why: string) => {
    const end = await publishByHttp(api, versionOf(n));
    if (end !== 'refused') taken.push(`${why}: ${end}`);
  };
  const worse = await saveNumbered(scene.folder, WORSE, ITEMS, 0.02);
  await register(scene, WORSE, worse);
  await refuse(WORSE, 'a metric worse than the gate');
  for (const [i, damage] of DAMAGES.entries()) {
    const n = FIRST_BAD + i;
    const path = await saveNumbered(scene.folder, n, ITEMS, 0.05);
    await register(scene, n, path);
    await damage.apply(path);
    await refuse(n, damage.name);
    // As if it had rotted between its publish and now; what follows the pointer has to refuse it.
    await swapPublished(scene.db, versionOf(n), versionOf(GOOD));
    if (build === 'product') await followFailed(api, i + 1);
    else await sleep(300);
    await swapPublished(scene.db, versionOf(GOOD), versionOf(n));
  }
  const ofBad = load.served.filter(
    ({ version }) => version !== null && version !== versionOf(GOOD),
  );

  const steadyFromMs = performance.now();
  await sleep(short ? CI_STEADY_MS : STEADY_MS);
  const steadyToMs = performance.now();
  await saveNumbered(scene.folder, NEXT, ITEMS, 0.05);
  await publishNumbered(scene, NEXT);
  await eventually('the next', () => allServe(load, 1, versionOf(NEXT), 0), 30_000);
  await sleep(FIRST_MS);
  await load.stop();

  const first = Math.min(
    ...load.served.filter((one) => one.version === versionOf(NEXT)).map(({ atMs }) => atMs),
  );
  const took = (from: number, to: number) =>
    load.served.filter(({ atMs }) => atMs >= from && atMs < to).map(({ tookMs }) => tookMs);
  const steady = percentile(took(steadyFromMs, steadyToMs), 0.99);
  const after = percentile(took(first, first + FIRST_MS), 0.99);
  const failed = load.served.filter(({ status }) => status !== 200);
  const judge = createJudge();
  judge.equal('bad candidates that were not refused', taken.length, 0);
  judge.equal('answers of a bad candidate', ofBad.length, 0);
  judge.equal('answers that were not 200', failed.length, 0);
  judge.equal('mixed answers', load.mixed.length, 0);
  if (!short) judge.atMost('p99 of the first requests', after, Math.max(FLOOR_MS, 2 * steady));
  for (const one of taken) context.note(`not refused: ${one}`);
  return {
    measures: {
      requests: load.served.length,
      candidates: DAMAGES.length + 1,
      served: ofBad.length,
      'of stored states': load.fromStates(),
      'not refused': taken.length,
      'not 200': failed.length,
      'p99 steady': `${steady.toFixed(1)} ms`,
      'p99 of the first second': `${after.toFixed(1)} ms`,
    },
    failures: judge.failures,
  };
}

/** A sound artifact as training leaves it: known, not published. */
async function register({ db }: VersionScene, n: number, path: string): Promise<void> {
  const { manifest } = await loadArtifact(path);
  await registerVersion(db, { version: versionOf(n), manifest, path });
}

/** Asks for a publish and waits for its end. */
async function publishByHttp(api: Target, version: string): Promise<string> {
  const asked = await send(api, 'POST', `/v1/models/${version}/publish`);
  if (asked.status !== 202) return `status ${asked.status}`;
  return eventually(
    `the publish of ${version} to end`,
    async () => {
      const { body } = await send(api, 'GET', `/v1/models/${version}`);
      const state = (body as { publish_run?: { state?: string } } | null)?.publish_run?.state;
      return state === 'running' ? null : state;
    },
    60_000,
  );
}

/** Waits until the process has said that often that it could not follow. */
async function followFailed(api: Target, times: number): Promise<void> {
  const line = new RegExp(`^rec_model_swaps_total\\{result="failed"\\} ${times}$`, 'm');
  await eventually(
    `${times} versions that could not be followed to`,
    async () => line.test(await (await fetch(`${api.url}/metrics`)).text()),
    30_000,
  );
}
