/**
 * Reads the files of an artifact folder: no symbolic links, sizes known before anything is read, and
 * hashes taken over the very bytes that are then used (a file swapped after a check changes nothing).
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, type FileHandle } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Manifest } from '@nestrec/contracts';
import { excerpt, InputNotFound } from '@nestrec/errors';
import { MANIFEST_FILE } from './artifact.js';
import { readManifest } from './manifest-upgrades.js';
import { refuse } from './refuse.js';

const MAX_MANIFEST_BYTES = 16 * 2 ** 20;

export function sha256(...parts: readonly (Uint8Array | string)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** SHA-256 over the ids in order, each followed by a newline. */
export function hashItemIds(itemIds: readonly string[]): string {
  const hash = createHash('sha256');
  for (const id of itemIds) hash.update(`${id}\n`);
  return hash.digest('hex');
}

/** Throws `InputNotFound` when there is no such folder, `InvalidArtifact` for a link or a file. */
export async function checkFolder(path: string): Promise<void> {
  // A trailing slash would make lstat follow a link.
  const found = await lstat(resolve(path)).catch((cause: unknown) => {
    throw new InputNotFound({
      detail: `There is no model folder ${path} (${systemCode(cause)}). Check the path.`,
      cause,
    });
  });
  if (found.isSymbolicLink()) refuse(`${path} is a symbolic link; give the folder itself`);
  if (!found.isDirectory()) refuse(`${path} is a file; an artifact is a folder with manifest.json`);
}

/** Bytes of what lies in the folder; what cannot be read counts nothing, for whoever loads it to refuse. */
export async function sizeOfFolder(path: string): Promise<number> {
  const names = await readdir(path).catch(() => []);
  const sizes = names.map((name) =>
    lstat(join(path, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

export async function readManifestFile(folder: string): Promise<Manifest> {
  const bytes = await readPlainFile(folder, MANIFEST_FILE, { atMost: MAX_MANIFEST_BYTES });
  return readManifest(parseJson(MANIFEST_FILE, bytes));
}

/** The bytes of one listed file, equal in size and hash to what the manifest says. */
export async function readListedFile(
  folder: string,
  manifest: Manifest,
  name: string,
): Promise<Uint8Array> {
  const listed = manifest.files.find((file) => file.name === name);
  if (listed === undefined) return refuse(`manifest.json lists no file ${name}`);
  const bytes = await readPlainFile(folder, name, { exactly: listed.bytes });
  const hash = sha256(bytes);
  if (hash !== listed.sha256) {
    refuse(
      `${name}: SHA-256 is ${hash.slice(0, 12)}..., the manifest says ` +
        `${listed.sha256.slice(0, 12)}...: the file was changed or damaged`,
    );
  }
  return bytes;
}

type SizeRule = { readonly atMost: number } | { readonly exactly: number };

async function readPlainFile(folder: string, name: string, size: SizeRule): Promise<Uint8Array> {
  const handle = await openPlain(folder, name);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) refuse(`${name} is no plain file`);
    if ('exactly' in size && stat.size !== size.exactly) {
      refuse(
        `${name} has ${stat.size} bytes, the manifest says ${size.exactly} ` +
          `(${stat.size < size.exactly ? 'truncated' : 'trailing bytes'})`,
      );
    }
    if ('atMost' in size && stat.size > size.atMost) {
      refuse(`${name} has ${stat.size} bytes; at most ${size.atMost} are read`);
    }
    return await readExactly(handle, stat.size, name);
  } finally {
    await handle.close();
  }
}

async function openPlain(folder: string, name: string): Promise<FileHandle> {
  try {
    // O_NONBLOCK: opening a named pipe must not wait for a writer.
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    return await open(join(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ELOOP') return refuse(`${name} is a symbolic link; links are not followed`);
    if (code === 'ENOENT') return refuse(`${name} is missing in ${folder}`);
    throw new InputNotFound({ detail: `Cannot read ${join(folder, name)}: ${code}.`, cause });
  }
}

/** Reads `size` bytes, however the file may grow meanwhile. */
async function readExactly(handle: FileHandle, size: number, name: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  while (at < size) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(size - at, 2 ** 30), at);
    if (bytesRead === 0) refuse(`${name} ended at byte ${at} while it was read`);
    at += bytesRead;
  }
  return bytes;
}

export function parseJson(name: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return refuse(`${name} is not JSON: ${excerpt(reason)}`);
  }
}

export function systemCode(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
}
