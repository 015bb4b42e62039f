/**
 * `npm start` on the small shop: from nothing to a personalised answer, again from what is there, and
 * after kill -9 at seeded moments. `TEST_KILLS=20 npm test -- --project e2e start` for more moments.
 */
import { once } from 'node:events';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type NestrecClient } from '@nestrec/client';
import type { RecommendationsAnswer } from '@nestrec/contracts';
import { createRandom } from '@nestrec/random';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, startProcess, type StartedProcess } from '../helpers/started-process.js';

const READY = /^ready (http:\/\/\S+)$/m;
const CURL = /^curl .*-H 'Authorization: Bearer (\S+)' '(\S+)'$/m;
const START_LIMIT_MS = 300_000;
const kills = Number(process.env['TEST_KILLS'] ?? 3);
const seed = Number(process.env['TEST_SEED'] ?? 20261123);

let folder: string;
const started: StartedProcess[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-start-'));
});
afterAll(async () => {
  for (const one of started) one.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

async function start(dataDir: string): Promise<StartedProcess & { port: number }> {
  const port = await freePort();
  const one = startProcess(process.execPath, ['scripts/start.mjs'], {
    NESTREC_DEMO_SCALE: 'small',
    NESTREC_DATA_DIR: dataDir,
    PORT: String(port),
  });
  started.push(one);
  return Object.assign(one, { port });
}

/** Waits until it is ready, runs the curl line that it printed, asks the same through the client; tells the version. */
async function expectServing(one: StartedProcess): Promise<string> {
  const [, base] = await one.waitForLine(READY, START_LIMIT_MS);
  const [, key, url] = CURL.exec(one.output())!;
  const response = await fetch(url!, { headers: { authorization: `Bearer ${key}` } });
  expect(response.status).toBe(200);
  const answer = (await response.json()) as RecommendationsAnswer;
  expect(answer.served_by).toMatchObject({ dim: 64, personalised: true });
  expect(answer.items).toHaveLength(5);
  const client = createClient({ url: base!, key: key! });
  expect(await client.readiness()).toMatchObject({ ready: true });
  const { pathname, searchParams } = new URL(url!);
  const userId = decodeURIComponent(pathname.split('/')[3]!);
  const query = {
    ...{ k: Number(searchParams.get('k')), dim: Number(searchParams.get('dim')) },
    because: searchParams.get('because') === 'true',
  };
  expect(await client.recommend(userId, query)).toEqual(answer);
  return answer.served_by.model_version;
}

/** With the key that was printed. */
async function clientOf(one: StartedProcess): Promise<NestrecClient> {
  const [, url] = await one.waitForLine(READY, START_LIMIT_MS);
  return createClient({ url: url!, key: CURL.exec(one.output())![1]! });
}

async function stop(one: StartedProcess): Promise<void> {
  one.kill('SIGINT');
  expect(await one.ended).toBe(0);
}

describe('npm start', () => {
  it('goes from nothing to a served answer, tells so, and stops cleanly on Ctrl-C', async () => {
    const one = await start(join(folder, 'first'));
    await expectServing(one);
    const text = one.output();
    expect(text.trimEnd().split('\n').at(-1)).toMatch(READY);
    expect(text).toMatch(/NDCG@10/);
    expect(text).toMatch(/popularity/);
    await stop(one);
    await expect(fetch(`http://127.0.0.1:${one.port}/healthz`)).rejects.toThrow();
  });

  it('starts again from what is there, without training anew', async () => {
    const one = await start(join(folder, 'first'));
    await expectServing(one);
    expect(one.output()).not.toMatch(/Training/);
    await stop(one);
  });

  it('takes back nothing that happened since: a deleted item, a published retraining', async () => {
    const dataDir = join(folder, 'first');
    const one = await start(dataDir);
    await (await clientOf(one)).deleteItem('item-0003');
    await stop(one);
    const retraining = startProcess(
      process.execPath,
      ['scripts/nestrec.mjs', 'retrain', '--mode', 'incremental', '--epochs', '1', '--json'],
      { NESTREC_DATA_DIR: dataDir },
    );
    started.push(retraining);
    expect(await retraining.ended, retraining.output()).toBe(0);
    const again = await start(dataDir);
    expect(await expectServing(again)).not.toBe('demo_small');
    const client = await clientOf(again);
    await expect(client.getItem('item-0003')).rejects.toMatchObject({ status: 404 });
    await stop(again);
  });

  it('is not ready before the curl line is printed', async () => {
    const one = await start(join(folder, 'second'));
    const statuses = new Set<number>();
    let printed = false;
    void one.waitForLine(CURL, START_LIMIT_MS).then(() => (printed = true));
    while (!printed) {
      const response = await fetch(`http://127.0.0.1:${one.port}/readyz`).catch(() => null);
      // The line may have arrived while the answer was on its way: then it does not count.
      if (response !== null && !CURL.test(one.output())) statuses.add(response.status);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await one.waitForLine(READY, START_LIMIT_MS);
    expect(statuses.has(200)).toBe(false);
    await stop(one);
  });

  it('says at once that the port is taken, before any work, and leaves nothing behind', async () => {
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    await once(other, 'listening');
    const run = (script: string[], dataDir: string) => {
      const one = startProcess(process.execPath, script, {
        NESTREC_DEMO_SCALE: 'small',
        NESTREC_DATA_DIR: dataDir,
        PORT: String(port),
      });
      started.push(one);
      return one;
    };
    const untouched = join(folder, 'untouched');
    const demo = run(['scripts/start.mjs'], untouched);
    expect(await demo.ended).toBe(78);
    expect(demo.output()).toMatch(
      /127\.0\.0\.1:\d+: PORT is .*another process.* \[invalid_config\]/,
    );
    await expect(access(untouched)).rejects.toThrow();
    // `serve` finds out when ingest runs already: it has to end that too.
    const served = join(folder, 'served');
    const serve = run(['scripts/nestrec.mjs', 'serve'], served);
    expect(await serve.ended).toBe(78);
    expect(serve.output()).not.toMatch(/"level"/);
    await expect(access(join(served, 'server.json'))).rejects.toThrow();
    other.close();
  });

  it('names a data folder that cannot be made, with exit code 78', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, '');
    const one = await start(join(file, 'data'));
    expect(await one.ended).toBe(78);
    expect(one.output()).toMatch(
      /NESTREC_DATA_DIR is .*cannot be made \(ENOTDIR\).*\[invalid_config\]/,
    );
  });

  it(`serves after kill -9 at ${kills} seeded moments (seed ${seed})`, async () => {
    const random = createRandom(seed);
    const calm = await start(join(folder, 'calm'));
    const startedMs = Date.now();
    await calm.waitForLine(READY, START_LIMIT_MS);
    const wholeMs = Date.now() - startedMs;
    await stop(calm);
    const dataDir = join(folder, 'killed');
    for (let n = 0; n < kills; n++) {
      const atMs = Math.floor(random.uniform() * wholeMs);
      const one = await start(dataDir);
      const timer = setTimeout(() => one.kill('SIGKILL'), atMs);
      await one.ended;
      clearTimeout(timer);
      const next = await start(dataDir);
      await expectServing(next);
      await stop(next);
      // A fresh shop each time, so that every stage is among the killed ones.
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
