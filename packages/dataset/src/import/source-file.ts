/**
 * Opens an input file: only regular files, recognised by their first bytes, and checked at the end for
 * having changed meanwhile.
 *
 * A symbolic link is followed, and the summary says where to: the operator owns the machine. Folders,
 * pipes and devices are refused before they are opened (a pipe would block, /dev/zero never ends).
 */
import { constants } from 'node:fs';
import { lstat, open, realpath, stat, type FileHandle } from 'node:fs/promises';
import { excerpt, InputNotFound, InvalidInput } from '@nestrec/errors';

export type Compression = 'none' | 'gzip' | 'zstd';

export interface SourceFile {
  readonly path: string;
  readonly handle: FileHandle;
  readonly sizeBytes: number;
  readonly compression: Compression;
  /** The name's last extension in lower case, compression taken off: `csv`, `parquet`, ... */
  readonly extension: string;
  readonly notes: readonly string[];
  /** @throws InvalidInput when the file was changed or replaced since it was opened. */
  assertUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/** Files that hold other files, or another program's document: known by their first bytes. */
const REFUSED_SIGNATURES: readonly (readonly [string, string])[] = [
  ['504b0304', 'a ZIP archive or spreadsheet; unzip it, or save it as CSV'],
  ['425a68', 'compressed with bzip2; use gzip or zstd'],
  ['fd377a585a00', 'compressed with xz; use gzip or zstd'],
  ['fffe', 'UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW'],
  ['feff', 'UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW'],
];

/** @throws InputNotFound when there is no readable regular file; InvalidInput for what it holds. */
export async function openSourceFile(path: string): Promise<SourceFile> {
  const notes: string[] = [];
  const handle = await openRegularFile(path, notes);
  try {
    const before = await handle.stat();
    if (!before.isFile()) throw notRegular(path, 'not a regular file');
    if (before.size === 0)
      throw new InvalidInput({ detail: `${excerpt(path)} is empty; wanted a file with data.` });
    const head = Buffer.alloc(6);
    await handle.read(head, 0, 6, 0);
    const compression = recogniseCompression(path, head.toString('hex'));
    return {
      path,
      handle,
      sizeBytes: before.size,
      compression,
      extension: extensionOf(path),
      notes,
      async assertUnchanged() {
        const after = await stat(path).catch(() => null);
        if (
          after === null ||
          after.ino !== before.ino ||
          after.size !== before.size ||
          after.mtimeMs !== before.mtimeMs
        )
          throw new InvalidInput({
            detail: `${excerpt(path)} changed while it was being read; import a copy that is at rest.`,
          });
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openRegularFile(path: string, notes: string[]): Promise<FileHandle> {
  try {
    if ((await lstat(path)).isSymbolicLink())
      notes.push(`${excerpt(path)} is a symbolic link to ${await realpath(path)}.`);
    const info = await stat(path);
    if (info.isDirectory()) throw notRegular(path, 'a folder');
    if (info.isFIFO()) throw notRegular(path, 'a pipe');
    if (!info.isFile()) throw notRegular(path, 'a device or socket');
    // Non-blocking: if a pipe took the file's place since, opening it must not hang.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof InvalidInput || error instanceof InputNotFound) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const why =
      {
        ENOENT: 'there is no such file',
        EACCES: 'it may not be read',
        ELOOP: 'its links go round',
      }[code] ?? `opening it failed (${code})`;
    throw new InputNotFound({ detail: `${excerpt(path)}: ${why}.`, cause: error });
  }
}

function notRegular(path: string, what: string) {
  return new InputNotFound({ detail: `${excerpt(path)} is ${what}; wanted a regular file.` });
}

function recogniseCompression(path: string, headHex: string): Compression {
  const refused = REFUSED_SIGNATURES.find(([signature]) => headHex.startsWith(signature));
  if (refused) throw new InvalidInput({ detail: `${excerpt(path)} is ${refused[1]}.` });
  if (headHex.startsWith('1f8b')) return 'gzip';
  if (headHex.startsWith('28b52ffd')) return 'zstd';
  if (/\.(gz|zst)$/i.test(path))
    throw new InvalidInput({
      detail: `${excerpt(path)} is named as a compressed file, but its content is not compressed; rename it.`,
    });
  return 'none';
}

function extensionOf(path: string): string {
  const plain = path.toLowerCase().replace(/\.(gz|zst)$/, '');
  return /\.([a-z0-9]+)$/.exec(plain)?.[1] ?? '';
}
