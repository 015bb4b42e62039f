/** A small valid artifact to save, and ways to damage its folder; for the tests of the registry. */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest, ModelConfig, NamedArray } from '@nestrec/contracts';
import { createFeaturizer, encodeItems, fitTextEncoder, itemText } from '@nestrec/features';
import { initParameters, lambdaMax, replayEvents } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { decodeSafetensors, encodeSafetensors } from '@nestrec/tensor-files';
import { hashItemIds, type ArtifactDraft, type ManifestDraft } from '@nestrec/registry';

export const ITEMS = Array.from({ length: 7 }, (_, i) => ({
  item_id: `item-${i}`,
  title: `${['red', 'blue', 'green'][i % 3]} ${['lamp', 'chair'][i % 2]}`,
}));

export function makeDraft(version = 'v1', changes: Partial<ManifestDraft> = {}): ArtifactDraft {
  const encoder = fitTextEncoder(ITEMS.map(itemText), { width: 6, seed: 1 });
  const features: Manifest['features'] = {
    modalities: [{ name: 'text', width: 6, kind: 'text', normalisation: 'l2' }],
    missingIndicators: true,
  };
  const featurizer = createFeaturizer(features, encoder);
  const config: ModelConfig = {
    ...{ sizes: [2, 4, 8], blocks: 1, featureWidth: featurizer.width, numItems: ITEMS.length },
    ...{ useBias: true, itemResidual: true, scoreScale: true, rMin: 0.1, rMax: 0.5 },
  };
  const parameters = initParameters(config, createRandom(3));
  const largest = lambdaMax(config, parameters);
  const row = (dim: number | null) => ({
    ...{ scorer: dim === null ? 'popularity' : `model@${dim}`, dim },
    ...{ protocol: 'leave-one-out' as const, part: 'validation' as const, seenMasked: true },
    ...{ cases: 5, metrics: { 'ndcg@10': 0.1 } },
  });
  return {
    manifest: {
      ...{ version, createdAt: '2026-11-23T10:00:00.000Z', nestrecVersion: '0.1.0' },
      ...{ commit: null, seed: 1, config, features },
      data: { users: 3, items: ITEMS.length, interactions: 20, from: null, to: null },
      training: { epochs: 2 },
      quality: [row(2), row(4), row(8), row(null)],
      ...{ lambdaMax: largest, replayEvents: replayEvents(config, largest) },
      ...changes,
    },
    parameters,
    features: encodeItems(featurizer, ITEMS),
    itemIds: ITEMS.map((item) => item.item_id),
    encoder,
  };
}

export async function readSavedManifest(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as Manifest;
}

/** Rewrites the manifest without touching anything else. */
export async function editManifest(
  folder: string,
  edit: (manifest: Manifest) => unknown,
): Promise<void> {
  const edited = edit(await readSavedManifest(folder));
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(edited));
}

/** Replaces a file and makes the manifest agree with it, as an attacker or a broken tool would. */
export async function replaceFile(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  await writeFile(join(folder, name), bytes);
  await editManifest(folder, (manifest) => ({
    ...manifest,
    files: manifest.files.map((file) =>
      file.name === name
        ? { name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
        : file,
    ),
  }));
}

/** Changes the tensors of the weights file, with matching hashes. */
export async function editTensors(
  folder: string,
  edit: (tensors: Map<string, NamedArray>) => void,
): Promise<void> {
  const bytes = await readFile(join(folder, 'weights.safetensors'));
  const tensors = new Map(
    [...decodeSafetensors(bytes).arrays].map(([name, { shape, data }]) => [
      name,
      { shape, data: data.slice() },
    ]),
  );
  edit(tensors);
  await replaceFile(folder, 'weights.safetensors', encodeSafetensors(tensors));
}

/** Changes the item ids; `honestly` keeps the order hash of the manifest in step. */
export async function editItemIds(
  folder: string,
  edit: (ids: string[]) => unknown[],
  honestly: boolean,
): Promise<void> {
  const ids = JSON.parse(await readFile(join(folder, 'items.json'), 'utf8')) as string[];
  const edited = edit(ids);
  await replaceFile(folder, 'items.json', new TextEncoder().encode(JSON.stringify(edited)));
  if (!honestly) return;
  await editManifest(folder, (manifest) => ({
    ...manifest,
    itemIdsSha256: hashItemIds(edited as string[]),
  }));
}
