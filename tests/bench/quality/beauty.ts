/**
 * Reads Amazon Beauty from a folder that is given: sequences with their days, the catalogue, and text
 * features of the wanted kind. Nothing of it is ever written.
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { FeatureSpec, Item } from '@nestrec/contracts';
import {
  buildDataset,
  importInteractions,
  importItems,
  type SequenceDataset,
} from '@nestrec/dataset';
import { InputNotFound } from '@nestrec/errors';
import {
  createFeaturizer,
  encodeItems,
  fitTextEncoder,
  itemText,
  readVectors,
  vectorsByItem,
} from '@nestrec/features';

const FILES = ['sequences.txt', 'timestamps.txt', 'items.jsonl'];
const MINILM = 'text-minilm-l6.f16.safetensors';
const BUILTIN_WIDTH = 256;

export interface QualityData {
  readonly dataset: SequenceDataset;
  /** N x featureWidth. */
  readonly features: Float32Array;
  readonly featureWidth: number;
  /** N x width: what the text-cosine baseline compares. */
  readonly text: { readonly vectors: Float32Array; readonly width: number };
  readonly spec: FeatureSpec;
}

async function requireFiles(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await access(join(folder, name)).catch((cause: unknown) => {
      throw new InputNotFound({
        detail: `${name} is not in the folder given with --data (wanted there: ${names.join(', ')})`,
        cause,
      });
    });
  }
}

export async function readBeauty(
  folder: string,
  kind: 'minilm' | 'builtin',
  seed: number,
): Promise<QualityData> {
  await requireFiles(folder, kind === 'minilm' ? [...FILES, MINILM] : FILES);
  const items = await readItems(join(folder, 'items.jsonl'));
  const dataset = await readSequences(
    folder,
    items.map((item) => item.item_id),
  );
  return { dataset, ...(await encode(folder, kind, items, seed)) };
}

async function readItems(path: string): Promise<Item[]> {
  const source = await importItems({ path }, {});
  const items: Item[] = [];
  try {
    for await (const batch of source.batches()) items.push(...batch);
  } finally {
    await source.close();
  }
  return items;
}

async function readSequences(folder: string, catalogue: string[]): Promise<SequenceDataset> {
  const source = await importInteractions(
    {
      kind: 'sequences',
      path: join(folder, 'sequences.txt'),
      timestampsPath: join(folder, 'timestamps.txt'),
    },
    { nowMs: Date.now() },
  );
  try {
    return await buildDataset(source.batches({ order: 'user' }), {
      catalogue,
      realTimes: source.summary.realTimes,
    });
  } finally {
    await source.close();
  }
}

async function encode(folder: string, kind: 'minilm' | 'builtin', items: Item[], seed: number) {
  const ids = items.map((item) => item.item_id);
  const given =
    kind === 'minilm' ? vectorsByItem(await readVectors(join(folder, MINILM)), ids) : null;
  const encoder = given
    ? null
    : fitTextEncoder(
        items.map((item) => itemText(item)),
        { width: BUILTIN_WIDTH, seed },
      );
  const width = encoder?.width ?? given!.values().next().value!.length;
  const spec: FeatureSpec = {
    modalities: [{ name: 'text', width, kind: encoder ? 'text' : 'vector', normalisation: 'l2' }],
    missingIndicators: true,
  };
  const featurizer = createFeaturizer(spec, encoder);
  const sources = items.map((item) => {
    const vector = given?.get(item.item_id);
    return vector ? { features: { text: vector } } : item;
  });
  const features = encodeItems(featurizer, sources);
  const vectors = new Float32Array(items.length * width);
  for (let r = 0; r < items.length; r++) {
    const from = r * featurizer.width;
    vectors.set(features.subarray(from, from + width), r * width);
  }
  return { features, featureWidth: featurizer.width, text: { vectors, width }, spec };
}
