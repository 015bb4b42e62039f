/**
 * Files and folders that appear whole or not at all: written aside, synced, renamed, folder synced.
 *
 * A crash leaves at most a hidden temporary entry beside the target; `removeTemporariesOf` clears those of one
 * target, `removeStaleTemporaries` all that are old at the next start.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const TEMPORARY = /^\..+\.[0-9a-f]{12}\.tmp$/;
/** What follows the name of the target. */
const RANDOM_END = /^[0-9a-f]{12}\.tmp$/;

function temporaryBeside(target: string): string {
  return join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes `data`, whole or part by part, to `target`, replacing what stood there in one step. */
export async function writeFileAtomic(
  target: string,
  data: Uint8Array | string | Iterable<Uint8Array>,
  options: { mode?: number } = {},
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const temporary = temporaryBeside(target);
  try {
    const handle = await open(temporary, 'wx', options.mode ?? 0o644);
    try {
      await writeFile(handle, data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await sync(dirname(target));
}

/**
 * Fills a new folder by `fill(temporaryFolder)` and renames it to `target`, which must not exist
 * (an existing, non-empty target makes the rename fail with ENOTEMPTY or EEXIST).
 */
export async function writeFolderAtomic(
  target: string,
  fill: (temporaryFolder: string) => Promise<void>,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const temporary = temporaryBeside(target);
  await mkdir(temporary);
  try {
    await fill(temporary);
    for (const entry of await readdir(temporary, { recursive: true, withFileTypes: true })) {
      await sync(join(entry.parentPath, entry.name));
    }
    await sync(temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
  await sync(dirname(target));
}

/**
 * Removes what crashed writers of `target` left beside it, however young; returns the names removed. Only for
 * who knows that nobody writes it: a living writer fails, and `target` stays as it is.
 */
export async function removeTemporariesOf(target: string): Promise<string[]> {
  const prefix = `.${basename(target)}.`;
  const entries = await readdir(dirname(target)).catch(() => []);
  const left = entries.filter(
    (name) => name.startsWith(prefix) && RANDOM_END.test(name.slice(prefix.length)),
  );
  for (const name of left) await rm(join(dirname(target), name), { recursive: true, force: true });
  return left;
}

/** Removes what a crashed `write…Atomic` left in `folder`; returns the names removed. */
export async function removeStaleTemporaries(folder: string, olderThanMs = 0): Promise<string[]> {
  const entries = await readdir(folder).catch(() => []);
  const removed: string[] = [];
  for (const name of entries.filter((entry) => TEMPORARY.test(entry))) {
    const path = join(folder, name);
    if (Date.now() - (await stat(path)).mtimeMs < olderThanMs) continue;
    await rm(path, { recursive: true, force: true });
    removed.push(name);
  }
  return removed;
}
