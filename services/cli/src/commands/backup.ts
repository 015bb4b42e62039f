/** `nestrec backup create|restore`: the embedded data folder as a checked copy. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { lockDataFolder } from '@nestrec/database';
import { InputNotFound, InvalidInput, UsageError } from '@nestrec/errors';
import { writeFolderAtomic } from '@nestrec/runtime';
import { z } from 'zod';
import { defineAction, type Invocation } from '../command-context.js';
import { dataFolders, withPlatform, type DataFolders } from '../platform.js';
import type { CliConfig } from '../settings.js';

const MANIFEST = 'backup.json';
/** What a data folder holds that cannot be made again; checkpoints and rejects can. */
const PARTS = ['database', 'models'] as const;

const backupSchema = z.strictObject({
  formatVersion: z.literal(1),
  createdAt: z.string(),
  files: z.record(z.string(), z.strictObject({ bytes: z.number().int(), sha256: z.string() })),
});

export function addBackup(program: Command, invocation: Invocation): void {
  const group = program
    .command('backup')
    .description('copy the embedded data folder, and put a copy back');
  const create = group
    .command('create')
    .description('write database and models, with checksums, to a new folder')
    .argument('<folder>', 'folder that does not exist yet')
    .addHelpText('after', '\nExample:\n  nestrec backup create /backups/nestrec-2026-11-23');
  defineAction(create, invocation, async ({ config, output }, [folder]) => {
    refuseServerDatabase(config);
    const target = resolve(folder!);
    const files = await createBackup(config, target);
    output.result({ folder: target, files }, `Wrote ${files} files to ${target}.`);
  });
  const restore = group
    .command('restore')
    .description('put a backup into a data folder that holds nothing yet')
    .argument('<folder>', 'folder that `backup create` wrote')
    .addHelpText(
      'after',
      '\nExample:\n  NESTREC_DATA_DIR=restored nestrec backup restore /backups/nestrec-2026-11-23',
    );
  defineAction(restore, invocation, async ({ config, output }, [folder]) => {
    refuseServerDatabase(config);
    const folders = dataFolders(config);
    const files = await restoreBackup(resolve(folder!), folders);
    output.result({ folder: folders.root, files }, `Restored ${files} files to ${folders.root}.`);
  });
}

function refuseServerDatabase(config: CliConfig): void {
  if (config.databaseUrl === null) return;
  throw new UsageError({
    detail:
      'DATABASE_URL is set: back PostgreSQL up with its own tools (pg_dump, base backups) and copy the models folder.',
  });
}

async function createBackup(config: CliConfig, target: string): Promise<number> {
  // Opening recovers a database that was killed, and holds its lock; closing leaves plain files.
  await withPlatform(config, async ({ db }) => {
    await db.query('CHECKPOINT');
  });
  const folders = dataFolders(config);
  let files: Record<string, { bytes: number; sha256: string }> = {};
  // Nobody may open the database while its files are copied.
  const lock = await lockDataFolder(folders.database);
  try {
    await writeFolderAtomic(target, async (temporary) => {
      for (const part of PARTS) {
        await mkdir(folders[part], { recursive: true });
        await cp(folders[part], join(temporary, part), { recursive: true });
      }
      files = await describeFiles(temporary);
      const manifest = { formatVersion: 1, createdAt: new Date().toISOString(), files };
      await writeFile(join(temporary, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    });
  } finally {
    await lock.release();
  }
  return Object.keys(files).length;
}

async function restoreBackup(source: string, folders: DataFolders): Promise<number> {
  const { files } = await readBackup(source);
  const got = await describeFiles(source, [MANIFEST]);
  const damaged = Object.keys({ ...files, ...got }).filter(
    (name) => files[name]?.sha256 !== got[name]?.sha256,
  );
  if (damaged.length > 0) {
    throw new InvalidInput({
      detail: `${source}: ${damaged.length} file(s) differ from ${MANIFEST}, the first is ${damaged[0]}. Take another backup.`,
    });
  }
  const existing = (await readdir(folders.root).catch(() => [])).filter((name) =>
    (PARTS as readonly string[]).includes(name),
  );
  if (existing.length > 0) {
    throw new UsageError({
      detail: `${folders.root} holds ${existing.join(' and ')} already; set NESTREC_DATA_DIR to a new folder.`,
    });
  }
  for (const part of PARTS) await copyWhole(join(source, part), folders[part]);
  return Object.keys(files).length;
}

async function readBackup(source: string): Promise<z.infer<typeof backupSchema>> {
  const text = await readFile(join(source, MANIFEST), 'utf8').catch((cause: unknown) => {
    throw new InputNotFound({
      detail: `${source} has no readable ${MANIFEST}: not a backup.`,
      cause,
    });
  });
  try {
    return backupSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new InvalidInput({
      detail: `${join(source, MANIFEST)} is not a backup's manifest.`,
      cause,
    });
  }
}

/** Copies a folder beside its target first, so that a killed restore leaves no half of one. */
async function copyWhole(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const temporary = `${target}.restoring`;
  await rm(temporary, { recursive: true, force: true });
  await cp(source, temporary, { recursive: true });
  await rename(temporary, target);
}

async function describeFiles(folder: string, leaveOut: readonly string[] = []) {
  const files: Record<string, { bytes: number; sha256: string }> = {};
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path).replaceAll('\\', '/');
    if (!leaveOut.includes(name)) files[name] = await hashFile(path);
  }
  return files;
}

async function hashFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}
