/** Loads an artifact and refuses it with a reason; `verifyArtifact` is the same code with a report. */
import { setImmediate as afterOthers } from 'node:timers/promises';
import type { Manifest, NamedArray } from '@nestrec/contracts';
import { excerpt, NestrecError } from '@nestrec/errors';
import { restoreTextEncoder, type TextEncoder } from '@nestrec/features';
import { decodeSafetensors } from '@nestrec/tensor-files';
import {
  ENCODER_FILE,
  FEATURES_TENSOR,
  ITEMS_FILE,
  LEARNED_TENSOR,
  LIKENESS_METRIC_TENSOR,
  LIKENESS_SCALES_TENSOR,
  WEIGHTS_FILE,
  type Artifact,
} from './artifact.js';
import { checkFolder, parseJson, readListedFile, readManifestFile } from './artifact-files.js';
import { checkItemIdsHash, checkTensorSet, CONTENT_CHECKS } from './check-content.js';
import { refuse, refusing } from './refuse.js';

export interface VerifyReport {
  readonly path: string;
  readonly accepted: boolean;
  /** null when the manifest could not be read. */
  readonly version: string | null;
  /** Checks that passed, in order; the one after the last of them failed. */
  readonly passed: readonly string[];
  /** Error code and reason of the refusal; null when accepted. */
  readonly code: string | null;
  readonly reason: string | null;
}

/** Another type of number may hold the same bits, and is not what was saved. */
const ONLY_OURS = { onlyFloat32: true };

interface Progress {
  version: string | null;
  readonly passed: string[];
}

/** Throws `InputNotFound` (no folder) or `InvalidArtifact` (the reason names file, tensor or row). */
export function loadArtifact(path: string): Promise<Artifact> {
  return readArtifact(path, { version: null, passed: [] });
}

/** The verdict that `loadArtifact` would give, needing nothing but the folder. Throws only on bugs. */
export async function verifyArtifact(path: string): Promise<VerifyReport> {
  const progress: Progress = { version: null, passed: [] };
  try {
    await readArtifact(path, progress);
    return { path, accepted: true, ...progress, code: null, reason: null };
  } catch (error) {
    if (!(error instanceof NestrecError)) throw error;
    const reason = error.detail ?? error.message;
    return { path, accepted: false, ...progress, code: error.code, reason };
  }
}

async function readArtifact(path: string, progress: Progress): Promise<Artifact> {
  const pass = (name: string) => void progress.passed.push(name);
  await checkFolder(path);
  const manifest = await readManifestFile(path);
  progress.version = manifest.version;
  pass('manifest is readable and complete');
  checkFileList(manifest);
  const itemIds = readItemIds(await readListedFile(path, manifest, ITEMS_FILE));
  checkItemIdsHash(manifest, itemIds);
  const tensors = readTensors(await readListedFile(path, manifest, WEIGHTS_FILE));
  checkTensorSet(manifest, tensors);
  const encoder = await readEncoder(path, manifest);
  pass('files have the sizes and SHA-256 of the manifest');
  const take = (name: string) => {
    const data = tensors.get(name)?.data;
    tensors.delete(name);
    return data;
  };
  const features = take(FEATURES_TENSOR) ?? new Float32Array(0);
  const learned = take(LEARNED_TENSOR);
  const [metric, scales] = [take(LIKENESS_METRIC_TENSOR), take(LIKENESS_SCALES_TENSOR)];
  const likeness = metric && scales && { metric, scales };
  const content = { parameters: tensors, features, learned, likeness, itemIds, encoder };
  for (const check of CONTENT_CHECKS) {
    check.run(manifest, content);
    pass(check.name);
    // Whoever serves while it loads answers between two checks.
    await afterOthers();
  }
  return { manifest, ...content };
}

function hasText(manifest: Manifest): boolean {
  return manifest.features.modalities.some((modality) => modality.kind === 'text');
}

/** The manifest must list each file of this kind of artifact once, and no other. */
function checkFileList(manifest: Manifest): void {
  const wanted = new Set([WEIGHTS_FILE, ITEMS_FILE, ...(hasText(manifest) ? [ENCODER_FILE] : [])]);
  for (const { name } of manifest.files) {
    if (!wanted.delete(name)) {
      refuse(`manifest.json lists ${excerpt(name)}, which such an artifact does not have once`);
    }
  }
  const [missing] = wanted;
  if (missing !== undefined) refuse(`manifest.json lists no file ${missing}`);
}

function readItemIds(bytes: Uint8Array): string[] {
  const value = parseJson(ITEMS_FILE, bytes);
  if (!Array.isArray(value)) return refuse(`${ITEMS_FILE} must be a JSON array of item ids`);
  value.forEach((id, row) => {
    if (typeof id !== 'string') {
      refuse(`${ITEMS_FILE}: the id of row ${row} is ${excerpt(id)}, not a string`);
    }
  });
  return value as string[];
}

function readTensors(bytes: Uint8Array): Map<string, NamedArray> {
  return new Map(refusing(WEIGHTS_FILE, () => decodeSafetensors(bytes, ONLY_OURS)).arrays);
}

async function readEncoder(path: string, manifest: Manifest): Promise<TextEncoder | null> {
  if (!hasText(manifest)) return null;
  const bytes = await readListedFile(path, manifest, ENCODER_FILE);
  return refusing(ENCODER_FILE, () =>
    restoreTextEncoder(decodeSafetensors(bytes, ONLY_OURS).arrays),
  );
}
