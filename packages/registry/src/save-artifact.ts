/** Writes an artifact folder: checked, then whole or not at all, and never over another version. */
import { join } from 'node:path';
import { MANIFEST_FORMAT_VERSION, type Manifest } from '@nestrec/contracts';
import { InvalidArtifact, type NestrecError } from '@nestrec/errors';
import { encodeSafetensors } from '@nestrec/tensor-files';
import {
  ENCODER_FILE,
  ITEMS_FILE,
  MANIFEST_FILE,
  WEIGHTS_FILE,
  type ArtifactDraft,
} from './artifact.js';
import { hashItemIds, sha256 } from './artifact-files.js';
import { allTensors, checkContent } from './check-content.js';
import { readManifest } from './manifest-upgrades.js';
import { writeNewFolder } from './new-folder.js';

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
  await writeNewFolder(target, files, (cause) => versionExists(manifest.version, cause));
  return manifest;
}

function encodeFiles(draft: ArtifactDraft): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  files.set(WEIGHTS_FILE, encodeSafetensors(allTensors(draft.manifest, draft)));
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
