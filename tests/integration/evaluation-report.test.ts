/** `nestrec evaluate --report` on the embedded database: which cases are asked, by the manifest of the model. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '@nestrec/cli';
import { evaluationReportSchema, type EvaluationReport, type Manifest } from '@nestrec/contracts';
import { openPglite } from '@nestrec/database';
import { insertInteractions } from '@nestrec/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyPgliteTemplate } from '../helpers/databases.js';
import { FAST_TRAINING, fillShop } from '../helpers/training-data.js';

const DAY_MS = 86_400_000;
const FIRST_DAY = Date.UTC(2026, 0, 1);

let folder: string;
let dataDir: string;

async function nestrec(...args: string[]): Promise<{ code: number; json: unknown }> {
  let stdout = '';
  const stream = (take: (text: string) => void) =>
    ({ write: (text: string) => (take(text), true) }) as unknown as NodeJS.WriteStream;
  const code = await runCli([...args, '--json'], {
    env: { NESTREC_BACKEND: 'wasm', NESTREC_TRAIN_WORKERS: '1', NESTREC_DATA_DIR: dataDir },
    streams: { stdout: stream((text) => (stdout += text)), stderr: stream(() => {}) },
  });
  process.exitCode = undefined;
  return { code, json: JSON.parse(stdout) as unknown };
}

async function train(version: string, ...more: string[]): Promise<Manifest> {
  const said = await nestrec('train', ...FAST_TRAINING, '--model-version', version, ...more);
  expect(said.code, JSON.stringify(said.json)).toBe(0);
  return (said.json as { manifest: Manifest }).manifest;
}

async function report(version: string, ...more: string[]): Promise<EvaluationReport> {
  const target = join(folder, 'report');
  const args = ['evaluate', '--report', target, '--model-version', version, ...more];
  const said = await nestrec(...args);
  expect(said.code, JSON.stringify(said.json)).toBe(0);
  const text = await readFile(join(target, 'report.json'), 'utf8');
  return evaluationReportSchema.parse(JSON.parse(text));
}

/** Stores events of users (id, first number, items), a second apart on one day. */
async function add(day: number, users: readonly [string, number, number][]): Promise<void> {
  const db = await openPglite({ dataDir: join(dataDir, 'database') });
  for (const [userId, first, count] of users) {
    await insertInteractions(
      db,
      Array.from({ length: count }, (_, n) => ({
        ...{ eventId: `${userId}-${day}-${n}`, userId, itemId: `i${(first + n) % 20}` },
        ...{ type: 'view', value: null, timestampMs: FIRST_DAY + day * DAY_MS + n * 1_000 },
      })),
    );
  }
  await db.close();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-evaluation-'));
  dataDir = join(folder, 'data');
  const template = await copyPgliteTemplate();
  await cp(template.dataDir, join(dataDir, 'database'), { recursive: true });
  await template.dispose();
  const db = await openPglite({ dataDir: join(dataDir, 'database') });
  await fillShop(db);
  await db.close();
  // Sixty users of eight days; after their last, one who does much at once.
  await add(7.5, [['busy', 0, 30]]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('nestrec evaluate --report', () => {
  it('asks what the training held out, the same after newer events, and no case that was trained on', async () => {
    const temporal = await train('temporal_1', '--protocol', 'temporal');
    await train('loo_1');
    await train('loo_2', '--seed', '2');

    const before = await report('temporal_1');
    const { validationFrom, testFrom } = temporal.evaluation!;
    const { cases, users } = temporal.evaluation!;
    const asked = { protocol: 'temporal', validationFrom, testFrom, trainedOnCases: 0 } as const;
    expect(before.data).toMatchObject({ ...asked, cases, askedUsers: users, newerEvents: 0 });
    expect(before.method.coldEvents).toBe('first');

    // Of `busy` 29 events have a history; the newest two were held out from the leave-one-out training.
    const across = await report('loo_1', '--protocol', 'temporal');
    expect(across.model.protocol).toBe('leave-one-out');
    expect(across.data.trainedOnCases).toBe(27);
    expect(across.data.askedUsers).toBe(across.data.cases - 1);

    const seeds = await report('loo_1', '--seeds', 'loo_2', '--sasrec', '4');
    expect(seeds.comparisons.map(({ baseline }) => baseline)).toContain('sasrec-4');
    expect(await readFile(join(folder, 'report', 'report.html'), 'utf8')).toContain(
      'over sasrec-4',
    );
    expect(seeds.seeds!.versions).toEqual([
      { version: 'loo_1', seed: 1 },
      { version: 'loo_2', seed: 2 },
    ]);
    expect(seeds.seeds!.sizes[1]!.ndcg10[0]).toBe(seeds.sizes[1]!.ndcg10.mean);
    const other = await nestrec(
      ...['evaluate', '--report', folder, '--model-version', 'loo_1', '--seeds', 'temporal_1'],
    );
    expect(other.code).not.toBe(0);
    expect(JSON.stringify(other.json)).toContain('another protocol');

    // Thirty people whom no training saw, three events each.
    await add(
      20,
      Array.from({ length: 30 }, (_, u) => [`new${u}`, u, 3]),
    );
    const later = await report('temporal_1');
    expect(later.data).toMatchObject({ ...asked, cases: cases + 2 * 30, newerEvents: 90 });
    const cold = later.coldStart.map(({ events, group }) => [events, group.cases, group.users]);
    // `busy` is new as well, to the training of the temporal model.
    expect(cold).toEqual([
      [0, 31, 31],
      [1, 31, 31],
      [2, 31, 31],
      [3, 1, 1],
      [5, 1, 1],
    ]);
    expect(later.coldStart[3]!.group.scorers).toBeNull();
    expect(later.coldStart[2]!.group.scorers).toHaveLength(7);
  });
});
