/**
 * kill -9 at seeded moments: what is stored afterwards is what an undisturbed run would have stored; and
 * the same kills show a wrong state where batches are applied without a transaction.
 *
 * NESTREC_KILLS sets the number of kills (default 3).
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { openPglite } from '@nestrec/database';
import { openEmbeddedLog } from '@nestrec/event-log';
import { createRandom } from '@nestrec/random';
import { getPositions, listRejects } from '@nestrec/storage';
import { describe, expect, it } from 'vitest';
import { copyPgliteTemplate } from '../helpers/databases.js';
import { CRASH_SHAPE, crashRecords, crashVersion } from '../helpers/ingest-crash-data.js';
import { makeVersion, publish, stateError, TOPIC } from '../helpers/ingest-harness.js';

const RECORDS = 3_000;
const SEED = 20_261_123;
const KILLS = Number(process.env['NESTREC_KILLS'] ?? 3);
const child = fileURLToPath(new URL('../helpers/ingest-child.ts', import.meta.url));

/**
 * Runs the process; kills it once it has come `after` records further, or lets it kill itself before
 * the write `killAt` of states. Says whether it came to the end.
 */
function runUntil(dataDir: string, after: number, killAt?: number): Promise<boolean> {
  const args = ['--conditions=@nestrec/source', '--import', 'tsx', child, dataDir];
  if (killAt !== undefined) args.push(...[SEED, RECORDS, killAt].map(String));
  else args.push(...[SEED, RECORDS].map(String));
  const started = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let first: number | null = null;
    let errors = '';
    let killed = false;
    started.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    started.stdout.on('data', (chunk: Buffer) => {
      for (const match of chunk.toString().matchAll(/at (\d+)/g)) {
        first ??= Number(match[1]);
        if (Number(match[1]) - first >= after && !killed) {
          killed = true;
          started.kill('SIGKILL');
        }
      }
    });
    started.on('error', reject);
    started.on('exit', (code, signal) => {
      if (signal === 'SIGKILL') resolve(false);
      else if (code === 0) resolve(true);
      else reject(new Error(`the process ended with ${code}: ${errors.slice(0, 2_000)}`));
    });
  });
}

/** Applies the log through the runs of `disturb` and one undisturbed; what is then wrong in the stores. */
async function applyThrough(disturb: (dataDir: string) => Promise<boolean>, killAt?: number) {
  const { dataDir, dispose } = await copyPgliteTemplate();
  try {
    const before = await openPglite({ dataDir });
    await makeVersion(before, 'v1', { seed: SEED, ...CRASH_SHAPE });
    await publish(before, 'v1', null);
    const records = crashRecords(SEED, RECORDS);
    await openEmbeddedLog(before).append(records);
    await before.close();

    const killedOnTheWay = !(await disturb(dataDir));
    expect(await runUntil(dataDir, Infinity, killAt)).toBe(true);

    const db = await openPglite({ dataDir });
    const ids = new Set(records.map((record) => new TextDecoder().decode(record.value)));
    const { rows } = await db.query<{ n: bigint }>('SELECT count(*) AS n FROM interactions');
    const found = {
      killedOnTheWay,
      lost: ids.size - Number(rows[0]!.n),
      stateError: await stateError(db, crashVersion(SEED)),
      nextOffset: (await getPositions(db, TOPIC)).get(0)?.nextOffset,
      rejects: (await listRejects(db)).length,
    };
    await db.close();
    return found;
  } finally {
    await dispose();
  }
}

describe('ingest under kill -9', () => {
  it(`loses, doubles and falsifies nothing (${KILLS} kills)`, async () => {
    const random = createRandom(SEED);
    const found = await applyThrough(async (dataDir) => {
      let ended = false;
      for (let kill = 0; kill < KILLS && !ended; kill++) {
        ended = await runUntil(dataDir, 40 + random.int(500));
      }
      return ended;
    });
    expect(found).toMatchObject({ killedOnTheWay: true, lost: 0, rejects: 0 });
    expect(found.nextOffset).toBe(BigInt(RECORDS));
    expect(found.stateError).toBeLessThan(1e-5);
  });

  it('would show: without the transaction a kill in a batch leaves wrong states', async () => {
    const found = await applyThrough((dataDir) => runUntil(dataDir, Infinity, 20), 0);
    expect(found).toMatchObject({ killedOnTheWay: true, lost: 0 });
    expect(found.stateError).toBeGreaterThan(1e-4);
  });
});
