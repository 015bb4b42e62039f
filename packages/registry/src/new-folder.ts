/** Writes a folder of files that did not exist: whole or not at all, and never over anything. */
import { lstat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NestrecError, OutputNotWritable } from '@nestrec/errors';
import { writeFolderAtomic } from '@nestrec/runtime';
import { systemCode } from './artifact-files.js';

/** Contents by name, whole or part by part. */
export type FolderFiles = ReadonlyMap<string, Uint8Array | readonly Uint8Array[]>;

/**
 * @param taken the error to throw where `target` exists already.
 * @throws OutputNotWritable when the disk is full or the folder is not writable; nothing is left behind.
 */
export async function writeNewFolder(
  target: string,
  files: FolderFiles,
  taken: (cause?: unknown) => NestrecError,
): Promise<void> {
  if (await exists(target)) throw taken();
  try {
    await writeFolderAtomic(target, async (folder) => {
      for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
    });
  } catch (cause) {
    throw await writeFailure(cause, target, taken);
  }
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** The rename decides between two writers of one folder: the second finds one that is not empty. */
async function writeFailure(
  cause: unknown,
  target: string,
  taken: (cause?: unknown) => NestrecError,
): Promise<unknown> {
  if (cause instanceof NestrecError) return cause;
  const code = systemCode(cause);
  const lost = code === 'ENOTEMPTY' || code === 'EEXIST';
  if (lost && (await exists(target))) return taken(cause);
  return new OutputNotWritable({
    detail: `Cannot write ${target}: ${code}. Nothing was left behind; free space or fix the rights.`,
    cause,
  });
}
