import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { QualityRow } from '@nestrec/contracts';
import { initParameters, itemVectors, lambdaMax, replayEvents } from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { createCell, type Cell } from '@nestrec/streaming';
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

/** Three blocks with two exits, each measured. */
async function artifactWithExits() {
  const draft = makeDraft('deep');
  const exits = [
    { blocks: 1, dim: 4 },
    { blocks: 2, dim: 8 },
  ];
  const config = { ...draft.manifest.config, blocks: 3, exits };
  const [row] = draft.manifest.quality as [QualityRow];
  const measured = (blocks: number, dim: number): QualityRow => ({
    ...row,
    ...{ scorer: `exit${blocks}@${dim}`, dim, blocks, cases: 10 * blocks + dim },
  });
  const quality = [...draft.manifest.quality, measured(1, 4), measured(2, 4), measured(2, 8)];
  const parameters = initParameters(config, createRandom(3));
  const largest = lambdaMax(config, parameters);
  const memory = { lambdaMax: largest, replayEvents: replayEvents(config, largest) };
  await saveArtifact(models, {
    ...draft,
    manifest: { ...draft.manifest, config, quality, ...memory },
    parameters,
  });
  return loadArtifact(join(models, 'deep'));
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

  it('at an exit saves a complete model of so many blocks, with what was measured of it', async () => {
    const whole = await artifactWithExits();
    const { path, manifest } = await sliceArtifact(whole, 4, models, 2);
    expect(await verifyArtifact(path)).toMatchObject({ accepted: true, version: 'deep_d4_b2' });
    expect(manifest.config).toEqual({
      ...{ ...whole.manifest.config, sizes: [2, 4], blocks: 2 },
      exits: [{ blocks: 1, dim: 4 }],
    });
    expect(manifest.quality.map(({ scorer, blocks, cases }) => [scorer, blocks, cases])).toEqual([
      ['popularity', undefined, 5],
      ['exit1@4', 1, 14],
      ['model@4', undefined, 24],
    ]);
    expect(manifest.training['slicedFrom']).toEqual({ version: 'deep', dim: 4, blocks: 2 });
    const cut = await loadArtifact(path);
    const [small, large] = [cut, whole].map((one) =>
      createCell(one.manifest.config, one.parameters),
    ) as [Cell, Cell];
    const history = [0.3, -0.2, 0.7].map((x) =>
      Float32Array.from({ length: 8 }, (_, d) => Math.sin(x * (d + 1))),
    );
    const query = small.query(small.fold(history.map((vector) => vector.slice(0, 4))));
    const exit = large.exit(2);
    expect(query).toEqual(exit.query(exit.fold(history), 4));
    const size = await sliceArtifact(whole, 4, models);
    expect(size.manifest.quality.map(({ scorer }) => scorer)).toEqual([
      'model@2',
      'model@4',
      'popularity',
      'exit1@4',
      'exit2@4',
    ]);
  });

  it('refuses an exit that was not trained, or not at that size', async () => {
    const whole = await artifactWithExits();
    await expect(sliceArtifact(whole, 8, models, 1)).rejects.toThrow(
      /1 blocks at size 8; .*after 1 \(sizes up to 4\), 2 \(sizes up to 8\), all 3/,
    );
    const plain = await wholeArtifact();
    await expect(sliceArtifact(plain, 4, models, 2)).rejects.toThrow(/answer after all 1\./);
  });

  it('refuses a size that the model does not have', async () => {
    const whole = await wholeArtifact();
    await expect(sliceArtifact(whole, 3, models)).rejects.toThrow(/size 3; the model has 2, 4, 8/);
  });
});
