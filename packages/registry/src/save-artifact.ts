/** Writes an artifact folder: checked, then whole or not at all, and never over another version. */
import { lstat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MANIFEST_FORMAT_VERSION, type Manifest } from '@nestrec/contracts';
import { InvalidArtifact, NestrecError, OutputNotWritable } from '@nestrec/errors';
import { writeFolderAtomic } from '@nestrec/runtime';
import { encodeSafetensors } from '@nestrec/tensor-files';
import {
  ENCODER_FILE,
  ITEMS_FILE,
  MANIFEST_FILE,
  WEIGHTS_FILE,
  type ArtifactDraft,
} from './artifact.js';
import { hashItemIds, sha256, systemCode } from './artifact-files.js';
import { allTensors, checkContent } from './check-content.js';
import { readManifest } from './manifest-upgrades.js';

/**
 * Saves `<modelsDir>/<version>`. Throws `InvalidArtifact` when the draft would not load again or the
 * version exists, `OutputNotWritable` when the disk is full or the folder is not writable; either way
 * nothing is left behind.
 */
export async function saveArtifact(modelsDir: string, draft: ArtifactDraft): Promise<Manifest> {
  checkContent(draft.manifest, draft);
  const files = encodeFiles(draft);
  const manifest = readManifest({
    formatVersion: MANIFEST_FORMAT_VERSION,
    ...draft.manifest,
    itemIdsSha256: hashItemIds(draft.itemIds),
    files: [...files].map(([name, bytes]) => ({
      name,
      bytes: bytes.length,
      sha256: sha256(bytes),
    })),
  });
  files.set(MANIFEST_FILE, new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`));
  const target = join(modelsDir, manifest.version);
  if (await exists(target)) throw versionExists(manifest.version);
  try {
    await writeFolderAtomic(target, async (folder) => {
      for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
    });
  } catch (cause) {
    throw await writeFailure(cause, target, manifest.version);
  }
  return manifest;
}

function encodeFiles(draft: ArtifactDraft): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  files.set(WEIGHTS_FILE, encodeSafetensors(allTensors(draft.manifest.config, draft)));
  files.set(ITEMS_FILE, new TextEncoder().encode(`${JSON.stringify(draft.itemIds)}\n`));
  if (draft.encoder !== null) files.set(ENCODER_FILE, encodeSafetensors(draft.encoder.toArrays()));
  return files;
}

function versionExists(version: string, cause?: unknown): NestrecError {
  return new InvalidArtifact({
    detail: `There is a model version "${version}" already; versions are never overwritten.`,
    cause,
  });
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** The rename decides between two writers of one version: the second finds a folder that is not empty. */
async function writeFailure(cause: unknown, target: string, version: string): Promise<unknown> {
  if (cause instanceof NestrecError) return cause;
  const code = systemCode(cause);
  const taken = code === 'ENOTEMPTY' || code === 'EEXIST';
  if (taken && (await exists(target))) return versionExists(version, cause);
  return new OutputNotWritable({
    detail: `Cannot write ${target}: ${code}. Nothing was left behind; free space or fix the rights.`,
    cause,
  });
}
