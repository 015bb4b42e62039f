/** What an artifact says of items that it has not learned: kept, checked, and told again by whoever loads it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ArtifactDraft } from './artifact.js';
import { coldFillOf } from './cold-fill.js';
import { hashItemSide } from './item-side.js';
import { loadArtifactAside } from './load-aside.js';
import { loadArtifact } from './read-artifact.js';
import { saveArtifact } from './save-artifact.js';
import { cutArtifact } from './slice-artifact.js';
import { editTensors, makeDraft } from '../../../tests/helpers/artifact-draft.js';

const COLD_ITEMS = { strength: 1.5, neighbours: 3, temperature: 0.1, threshold: -1 };
const LIKENESS = {
  metric: Float32Array.from({ length: 49 }, (_, at) => (at % 8 === 0 && at < 48 ? 1 : 0)),
  scales: new Float32Array(7).fill(1),
};
/** Item 2 was not learned. */
const LEARNED = Float32Array.of(1, 1, 0, 1, 1, 1, 1);
const draft = (): ArtifactDraft => ({
  ...makeDraft('v1', { coldItems: COLD_ITEMS }),
  learned: LEARNED,
  likeness: LIKENESS,
});

let models = '';
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'nestrec-cold-'));
});
afterEach(() => rm(models, { recursive: true, force: true }));

/** Features of row 2, whose learned twin in words is row 5. */
const featureOf = ({ features }: Pick<ArtifactDraft, 'features'>, row = 2) =>
  features.subarray(row * 7, (row + 1) * 7);

describe('an artifact and the items that it has not learned', () => {
  it('keeps which were learned and how others are filled, also where a thread loads it', async () => {
    await saveArtifact(models, draft());
    for (const loaded of [
      await loadArtifact(join(models, 'v1')),
      await loadArtifactAside(join(models, 'v1'), { threadFromBytes: 0 }),
    ]) {
      expect(loaded.manifest.coldItems).toEqual(COLD_ITEMS);
      expect([...loaded.learned!]).toEqual([...LEARNED]);
      expect(loaded.likeness).toEqual(LIKENESS);
      const [here, there] = [await coldFillOf(draft() as never), await coldFillOf(loaded)];
      expect(there!.residualOf(featureOf(loaded))).toEqual(here!.residualOf(featureOf(draft())));
    }
  });

  it('fills nothing from items that were not learned', async () => {
    const only = { ...draft(), learned: Float32Array.of(0, 0, 0, 0, 1, 0, 0) };
    const fill = await coldFillOf(only as never);
    const residual = only.parameters.get('embedding.item_residual')!.data.subarray(32, 40);
    const got = fill!.residualOf(featureOf(only))!;
    residual.forEach((value, d) => expect(got[d]).toBeCloseTo(1.5 * value, 5));
  });

  it('fills nothing where it says nothing of it, as artifacts of before, and without features or residual', async () => {
    await saveArtifact(models, makeDraft());
    const old = await loadArtifact(join(models, 'v1'));
    expect([old.manifest.coldItems, old.learned, old.likeness]).toEqual(Array(3).fill(undefined));
    expect(await coldFillOf(old)).toBeNull();
    const { manifest, parameters, ...rest } = draft();
    const bare = new Map(parameters);
    bare.delete('embedding.item_residual');
    expect(await coldFillOf({ ...rest, manifest, parameters: bare } as never)).toBeNull();
  });

  it('fills a slice with the beginning of what it fills the whole with, to the bit', async () => {
    const whole = (await coldFillOf(draft() as never))!.residualOf(featureOf(draft()))!;
    for (const dim of [2, 4]) {
      const cut = cutArtifact(draft() as never, dim);
      const small = (await coldFillOf(cut as never))!.residualOf(featureOf(cut))!;
      expect([...small]).toEqual([...whole.subarray(0, dim)]);
      expect(cut.learned).toEqual(LEARNED);
    }
  });

  it('has another item side where it fills otherwise', () => {
    const hash = (changes: Partial<ArtifactDraft>) =>
      hashItemSide({ ...draft(), ...changes } as never);
    const manifest = { ...draft().manifest, coldItems: { ...COLD_ITEMS, strength: 1 } };
    const changes = [
      { learned: undefined },
      { likeness: { ...LIKENESS, scales: LEARNED } },
      { manifest },
    ];
    expect(new Set([hash({}), ...changes.map(hash)]).size).toBe(4);
    expect(hash({})).toBe(hash({}));
  });

  it.each([
    ['a number that is neither', (data: Float32Array) => (data[3] = 0.5), /0\.5 at element 3/],
    ['nothing learned', (data: Float32Array) => data.fill(0), /no item is learned/],
  ])('is refused with %s among what was learned', async (_, change, reason) => {
    await saveArtifact(models, draft());
    await editTensors(join(models, 'v1'), (tensors) => {
      change(tensors.get('item_learned')!.data);
    });
    await expect(loadArtifact(join(models, 'v1'))).rejects.toThrow(reason);
  });

  it.each([
    [
      'that does not say by what they are compared',
      { likeness: undefined },
      /likeness_metric is missing/,
    ],
    [
      'with lengths of other items',
      { likeness: { ...LIKENESS, scales: LEARNED.slice(1) } },
      /likeness_scales has shape .* and 6 numbers/,
    ],
    [
      'with what the manifest does not speak of',
      { manifest: makeDraft('v1').manifest },
      /item_learned is not one of this configuration/,
    ],
  ])('is refused %s', async (_, change: Partial<ArtifactDraft>, reason) => {
    await expect(saveArtifact(models, { ...draft(), ...change })).rejects.toThrow(reason);
  });
});
