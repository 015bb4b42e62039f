import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { editManifest, makeDraft } from '../../../tests/helpers/artifact-draft.js';
import { loadArtifactAside, loadServingArtifact } from './load-aside.js';
import { loadArtifact } from './read-artifact.js';
import { saveArtifact } from './save-artifact.js';

let models = '';
let folder = '';
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'nestrec-registry-'));
  folder = join(models, 'v1');
  await saveArtifact(models, makeDraft());
});
afterEach(() => rm(models, { recursive: true, force: true }));

/** What a loading is refused with. */
const refusal = (loading: Promise<unknown>) =>
  loading.then(
    () => 'accepted',
    ({ code, detail }: { code: string; detail: string }) => ({ code, detail }),
  );

describe('an artifact loaded in a thread', () => {
  it('is the same to the bit, and encodes texts as the same', async () => {
    const [here, aside] = [await loadArtifact(folder), await loadArtifactAside(folder)];
    const comparable = ({ encoder, ...rest }: typeof here) => ({
      ...rest,
      encoder: encoder?.toArrays() ?? null,
    });
    expect(comparable(aside)).toEqual(comparable(here));
  });

  it('for serving is its manifest and every parameter but the item residual, to the bit', async () => {
    const [whole, serving] = [await loadArtifact(folder), await loadServingArtifact(folder)];
    expect(serving.manifest).toEqual(whole.manifest);
    const wanted = new Map(whole.parameters);
    wanted.delete(ITEM_RESIDUAL);
    expect(serving.parameters).toEqual(wanted);
  });

  it.each([
    ['a folder that is not there', () => rm(folder, { recursive: true })],
    ['a truncated file', () => truncate(join(folder, 'weights.safetensors'), 100)],
    [
      'a manifest that says something else',
      () => editManifest(folder, (manifest) => ({ ...manifest, lambdaMax: 0.123 })),
    ],
  ])('is refused for %s with the words of loadArtifact', async (_name, damage) => {
    await damage();
    const refused = await refusal(loadArtifact(folder));
    expect(refused).toMatchObject({ code: expect.any(String), detail: expect.any(String) });
    expect(await refusal(loadServingArtifact(folder))).toEqual(refused);
    expect(await refusal(loadArtifactAside(folder))).toEqual(refused);
  });
});
