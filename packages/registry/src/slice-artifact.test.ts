import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { itemVectors, lambdaMax } from '@nestrec/parameters';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadArtifact, verifyArtifact } from './read-artifact.js';
import { saveArtifact } from './save-artifact.js';
import { sliceArtifact } from './slice-artifact.js';
import { makeDraft } from '../../../tests/helpers/artifact-draft.js';

let models = '';
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'nestrec-registry-'));
});
afterEach(() => rm(models, { recursive: true, force: true }));

async function wholeArtifact(version = 'v1') {
  await saveArtifact(models, makeDraft(version));
  return loadArtifact(join(models, version));
}

describe('sliceArtifact', () => {
  it('saves a complete artifact of that size, whose item vectors are prefixes', async () => {
    const whole = await wholeArtifact();
    const { path, manifest } = await sliceArtifact(whole, 4, join(models, 'small'));
    expect(await verifyArtifact(path)).toMatchObject({ accepted: true, version: 'v1_d4' });
    const cut = await loadArtifact(path);
    expect(cut.manifest).toEqual(manifest);
    expect(cut.manifest.config).toEqual({ ...whole.manifest.config, sizes: [2, 4] });
    const large = itemVectors(whole.manifest.config, whole.parameters, whole.features);
    const small = itemVectors(cut.manifest.config, cut.parameters, cut.features);
    for (let row = 0; row < 7; row++) {
      for (let i = 0; i < 4; i++) expect(small[row * 4 + i]).toBe(large[row * 8 + i]);
    }
  });

  it('carries over what belongs to it: quality up to its size, origin, its own lambda', async () => {
    const whole = await wholeArtifact();
    const { manifest } = await sliceArtifact(whole, 2, models);
    expect(manifest.quality.map((row) => row.scorer)).toEqual(['model@2', 'popularity']);
    expect(manifest.training).toEqual({ epochs: 2, slicedFrom: { version: 'v1', dim: 2 } });
    expect(manifest.createdAt).toBe(whole.manifest.createdAt);
    const cut = await loadArtifact(join(models, 'v1_d2'));
    expect(manifest.lambdaMax).toBe(lambdaMax(manifest.config, cut.parameters));
    expect(manifest.lambdaMax).toBeLessThanOrEqual(whole.manifest.lambdaMax);
  });

  it('can be cut again, keeps long names within the limit, and refuses to overwrite', async () => {
    const long = 'v'.repeat(48);
    const whole = await wholeArtifact(long);
    const { path } = await sliceArtifact(whole, 4, models);
    expect(path).toBe(join(models, `${'v'.repeat(45)}_d4`));
    await expect(sliceArtifact(whole, 4, models)).rejects.toThrow(/already/);
    const again = await sliceArtifact(await loadArtifact(path), 2, models);
    expect(again.manifest.config.sizes).toEqual([2]);
  });

  it('refuses a size that the model does not have', async () => {
    const whole = await wholeArtifact();
    await expect(sliceArtifact(whole, 3, models)).rejects.toThrow(/size 3; the model has 2, 4, 8/);
  });
});
