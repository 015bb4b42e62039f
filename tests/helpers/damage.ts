/**
 * The bad model artifacts of reliability.md section 2E, as changes of a sound artifact's folder. Whatever
 * can be made to agree with the manifest's checksums is, so that the checks behind them are met too.
 */
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NamedArray } from '@nestrec/contracts';
import { editItemIds, editManifest, editTensors, replaceFile } from './artifact-draft.js';

export interface Damage {
  readonly name: string;
  /** Damages the artifact in `folder`. */
  apply(folder: string): Promise<void>;
}

const WEIGHTS = 'weights.safetensors';
const RESIDUAL = 'embedding.item_residual';

/** Changes one tensor, with matching checksums. */
const withTensor = (name: string, change: (tensor: NamedArray) => NamedArray | null) => {
  return (folder: string) =>
    editTensors(folder, (tensors) => {
      const changed = change(tensors.get(name)!);
      if (changed === null) tensors.delete(name);
      else tensors.set(name, changed);
    });
};

/** Kinds (1) to (7); (8), a metric below the gate, is a sound artifact. */
export const DAMAGES: readonly Damage[] = [
  { name: 'truncated', apply: (folder) => truncate(join(folder, WEIGHTS), 1_000) },
  {
    name: 'a bit flipped',
    apply: async (folder) => {
      const bytes = await readFile(join(folder, WEIGHTS));
      bytes[bytes.length - 5]! ^= 4;
      await writeFile(join(folder, WEIGHTS), bytes);
    },
  },
  {
    name: 'a header that lies about its size',
    apply: async (folder) => {
      const bytes = await readFile(join(folder, WEIGHTS));
      bytes.writeBigUInt64LE(2n ** 62n);
      await replaceFile(folder, WEIGHTS, bytes);
    },
  },
  {
    name: 'a tensor missing',
    apply: withTensor(RESIDUAL, () => null),
  },
  {
    name: 'a tensor of another shape',
    apply: withTensor(RESIDUAL, ({ shape, data }) => ({
      shape: [data.length, ...shape.slice(2)],
      data,
    })),
  },
  {
    name: 'a number that is none',
    apply: withTensor(RESIDUAL, ({ shape, data }) => ({
      shape,
      data: data.fill(Number.NaN, 3, 4),
    })),
  },
  {
    name: 'item ids of another order',
    apply: (folder) => editItemIds(folder, (ids) => [...ids].reverse(), false),
  },
  {
    name: 'an item id twice',
    apply: (folder) => editItemIds(folder, ([first, , ...rest]) => [first, first, ...rest], true),
  },
  {
    name: 'sizes that its tensors do not have',
    apply: (folder) =>
      editManifest(folder, (manifest) => ({
        ...manifest,
        config: { ...manifest.config, sizes: [2, ...manifest.config.sizes] },
      })),
  },
  {
    name: 'a format from the future',
    apply: (folder) => editManifest(folder, (manifest) => ({ ...manifest, formatVersion: 99 })),
  },
];
