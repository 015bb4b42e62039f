/**
 * Models that carry their version's number where a mixed pair of state and item vectors shows: coordinate 0
 * of every item vector and of every user state is the number n, and the blocks leave it alone. So z[0] E[0]
 * is n of the state times n of the vectors, and the rest of a score is smaller than a half.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { NamedArray } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { publishVersion } from '@nestrec/publishing';
import { loadArtifact, saveArtifact, type ManifestDraft } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import { makeArtifact } from '../../helpers/published-artifact.js';
import { tiersOf } from '../../helpers/tiers-of.js';

export const versionOf = (n: number) => `n${n}`;
export const numberOf = (version: string) => Number(version.slice(1));

/** What the coordinates beside 0 are scaled by. */
const SMALL = 0.02;
/** Rest of a score at most; half a step of n is more. */
const REST = 0.45;
const FILLED_IN = ['formatVersion', 'itemIdsSha256', 'files'];

/** Whether the score can be one of this version's state and this version's item vectors. */
export const belongsTo = (n: number, score: number) => Math.abs(score - n * n) <= REST;

/** Saves the model of number `n` below `folder`; returns its path. */
export async function saveNumbered(
  folder: string,
  n: number,
  items: number,
  ndcg?: number,
  save: typeof saveArtifact = saveArtifact,
): Promise<string> {
  const shape = { version: versionOf(n), seed: n, items, ...(ndcg === undefined ? {} : { ndcg }) };
  const { manifest, ...content } = makeArtifact(shape);
  const parameters = new Map(content.parameters);
  const edit = (name: string, change: (data: Float32Array) => void) => {
    const { shape: dims, data } = parameters.get(name)!;
    const copy = data.slice();
    change(copy);
    parameters.set(name, { shape: dims, data: copy } satisfies NamedArray);
  };
  const width = manifest.config.featureWidth;
  const dim = manifest.config.sizes.at(-1)!;
  edit('embedding.projector.weight', (data) => {
    data.forEach((value, i) => (data[i] = i < width ? 0 : SMALL * value));
  });
  edit('embedding.projector.bias', (data) => {
    data.forEach((value, i) => (data[i] = i === 0 ? n : SMALL * value));
  });
  edit('embedding.item_residual', (data) => {
    data.forEach((value, i) => (data[i] = i % dim === 0 ? 0 : SMALL * value));
  });
  // Row 0 of what a block adds to x: nothing.
  const segment = manifest.config.sizes[0]!;
  for (const [linear, parts] of [
    ['lru_layer.out_proj', 2],
    ['feed_forward.w_2', 1],
  ] as const) {
    const name = `model.lru_blocks.0.${linear}.mrl_linear_0`;
    edit(`${name}.weight`, (data) => void data.fill(0, 0, segment * parts));
    edit(`${name}.bias`, (data) => void data.fill(0, 0, parts));
  }
  const draft = Object.entries(manifest).filter(([name]) => !FILLED_IN.includes(name));
  await mkdir(folder, { recursive: true });
  await save(folder, {
    manifest: Object.fromEntries(draft) as unknown as ManifestDraft,
    ...{ ...content, parameters },
  });
  return join(folder, versionOf(n));
}

/** Publishes what lies at `path`, as the command does. */
export async function publishPath(db: Database, path: string): Promise<void> {
  await publishVersion({
    ...{ db, path, artifact: await loadArtifact(path), tiers: tiersOf(4, null) },
    ...{ recallQueries: 5, minRecall: 0, logger: silentLogger() },
  });
}
