/**
 * B9: the disk is full during a publish: that of the tables, and that of the models. The publish fails and
 * names the reason, the served version is untouched, nothing is left behind, and the next one is fine once
 * there is space. The broken publisher leaves what it could not finish. Needs root for two small tmpfs; says so and skips elsewhere.
 */
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sqlState } from '@nestrec/database';
import { saveArtifact } from '@nestrec/registry';
import { getPublished, itemVectorsTable, listItemVectorTables } from '@nestrec/storage';
import { runsAsRoot, UNPRIVILEGED_ID } from '../helpers/postgres-binaries.js';
import { saveInPlace, withoutDrops } from './broken/littering-publisher.js';
import { createJudge, type Build, type ChaosContext, type Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';
import { publishPath, saveNumbered, versionOf } from './harness/version-models.js';
import { ITEMS, makeVersionScene } from './harness/versions.js';

const run = promisify(execFile);
const TABLES = '8m';
const MODELS = '1m';
/** Its table and indexes take more than `TABLES`. */
const MANY_ITEMS = 30_000;

export async function fillDisk(
  context: ChaosContext,
  ground: Ground,
  build: Build,
): Promise<Verdict> {
  const [tables, models] = [await mountTmpfs(context, TABLES), await mountTmpfs(context, MODELS)];
  if (tables === null || models === null) {
    const skipped = 'a tmpfs cannot be mounted here (not root, or no right to)';
    context.note(`B9 is skipped: ${skipped}`);
    return { measures: { skipped }, failures: [] };
  }
  if (runsAsRoot()) await chown(tables, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
  const scene = await makeVersionScene(context, ground.postgres.url);
  const { db } = scene;
  const publisher = build === 'broken' ? withoutDrops(db) : db;
  const save = build === 'broken' ? saveInPlace : saveArtifact;
  const judge = createJudge();
  const space = `chaos_${process.pid}`;
  await db.query(`CREATE TABLESPACE ${space} LOCATION '${tables}'`);
  context.defer(async () => {
    for (const version of await listItemVectorTables(db)) {
      await db.query(`DROP TABLE ${itemVectorsTable(version)}`);
    }
    await db.query(`DROP TABLESPACE ${space}`);
  });
  const { rows } = await db.query<{ name: string }>('SELECT current_database() AS name');
  await db.query(`ALTER DATABASE "${rows[0]!.name}" SET default_tablespace = '${space}'`);
  // Only new connections have it: those that there are go.
  await db.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()`,
  );
  await db.query('SELECT pg_terminate_backend(pg_backend_pid())').catch(() => undefined);

  await publishPath(db, await saveNumbered(scene.folder, 1, ITEMS));
  const large = await saveNumbered(scene.folder, 2, MANY_ITEMS);
  const error = await publishPath(publisher, large).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  const state = error === null ? 'published' : (sqlState(error) ?? String(error));
  context.note(`publish on a full tablespace: ${state}, ${(error as Error | null)?.message ?? ''}`);
  judge.holds(`SQLSTATE of the publish: got ${state}, wanted 53100`, state === '53100');
  const served = (await getPublished(db))?.version ?? 'nothing';
  judge.holds(`served: got ${served}, wanted ${versionOf(1)}`, served === versionOf(1));
  const left = await listItemVectorTables(db);
  judge.equal('tables left besides the served one', left.length - 1, 0);

  await writeFile(join(models, 'filler'), new Uint8Array(900_000));
  const refusal = await saveNumbered(models, 3, ITEMS, undefined, save).then(
    () => 'saved',
    (thrown: unknown) => (thrown as Error).message + String((thrown as { detail?: string }).detail),
  );
  context.note(`artifact on a full disk: ${refusal}`);
  judge.holds(`the artifact's refusal names ENOSPC: got ${refusal}`, refusal.includes('ENOSPC'));
  const files = (await readdir(models)).filter((name) => name !== 'filler');
  judge.equal('partial files', files.length, 0);
  const measures = {
    'SQLSTATE of the publish': state,
    'partial tables': left.length - 1,
    'partial files': files.length,
    'served meanwhile': served,
  };
  // The next publish begins by clearing tables, which the broken one cannot.
  if (build === 'broken') return { measures, failures: judge.failures };

  await run('mount', ['-o', 'remount,size=400m', tables]);
  await run('mount', ['-o', 'remount,size=64m', models]);
  await publishPath(db, large);
  const after = (await getPublished(db))?.version ?? 'nothing';
  judge.holds(`served with space: got ${after}, wanted ${versionOf(2)}`, after === versionOf(2));
  await publishPath(db, await saveNumbered(models, 3, ITEMS));
  return {
    measures: { ...measures, 'served with space': (await getPublished(db))?.version ?? 'nothing' },
    failures: judge.failures,
  };
}

/** A new folder of that size, gone at the end; null where it cannot be had. */
async function mountTmpfs(context: ChaosContext, size: string): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-chaos-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
  } catch {
    await rm(folder, { recursive: true, force: true });
    return null;
  }
  context.defer(async () => {
    await run('umount', [folder]);
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}
