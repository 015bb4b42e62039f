/**
 * The item side of a model: everything that item vectors follow from. Two versions whose item sides are equal
 * to the bit have the same vectors for every item, also for one that neither was trained on.
 */
import { createHash } from 'node:crypto';
import type { NamedArray, NamedArrays } from '@nestrec/contracts';
import { ITEM_PARAMETERS } from '@nestrec/parameters';
import type { Artifact } from './artifact.js';
import { hashItemIds } from './artifact-files.js';

/** SHA-256 over sizes, item ids, feature specification, encoder, item features, P, p and R, and how cold items are filled. */
export function hashItemSide({
  manifest,
  parameters,
  features,
  learned,
  likeness,
  itemIds,
  encoder,
}: Artifact): string {
  const { config, features: spec } = manifest;
  const hash = createHash('sha256');
  hash.update(JSON.stringify([config.sizes, config.featureWidth, spec, hashItemIds(itemIds)]));
  const add = (name: string, { shape, data }: NamedArray) => {
    hash.update(`\n${name} ${shape.join('x')}\n`);
    for (let at = 0; at < data.length; at += NUMBERS_AT_ONCE) {
      const part = data.subarray(at, at + NUMBERS_AT_ONCE);
      hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    }
  };
  if (manifest.coldItems !== undefined) hash.update(JSON.stringify(manifest.coldItems));
  add('features', { shape: [features.length], data: features });
  for (const [name, data] of Object.entries(likeness ?? {}).sort()) {
    add(`likeness ${name}`, { shape: [data.length], data });
  }
  if (learned !== undefined) add('learned', { shape: [learned.length], data: learned });
  addAll(add, encoder?.toArrays() ?? new Map());
  addAll(add, new Map([...parameters].filter(([name]) => ITEM_PARAMETERS.includes(name))));
  return hash.digest('hex');
}

/** A hash takes less than 2 GiB at once. */
const NUMBERS_AT_ONCE = 2 ** 26;

function addAll(add: (name: string, array: NamedArray) => void, arrays: NamedArrays): void {
  for (const name of [...arrays.keys()].sort()) add(name, arrays.get(name)!);
}
