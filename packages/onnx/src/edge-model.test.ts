import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { itemVectors } from '@nestrec/parameters';
import { loadArtifact, saveArtifact, type Artifact } from '@nestrec/registry';
import { createCell } from '@nestrec/streaming';
import { decodeSafetensors } from '@nestrec/tensor-files';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeDraft } from '../../../tests/helpers/artifact-draft.js';
import { openStep, RUNTIMES } from '../../../tests/helpers/onnx-step.js';
import { saveEdgeModel } from './edge-model.js';

let folder = '';
let artifact: Artifact;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-edge-'));
  await saveArtifact(folder, makeDraft('v1'));
  artifact = await loadArtifact(join(folder, 'v1'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('saveEdgeModel', () => {
  it('describes every other file in the manifest, with its bytes and their hash', async () => {
    const { path, manifest } = await saveEdgeModel(artifact, 4, join(folder, 'edge'));
    expect(path).toBe(join(folder, 'edge', 'v1_d4_onnx'));
    expect(manifest).toMatchObject({
      ...{ format: 'nestrec-edge', formatVersion: 1, version: 'v1_d4', dim: 4, items: 7 },
      step: { file: 'step.onnx', opset: 13 },
    });
    const described = manifest.files.map(({ name }) => name);
    expect((await readdir(path)).sort()).toEqual([...described, 'manifest.json'].sort());
    for (const { name, bytes, sha256, about } of manifest.files) {
      const content = await readFile(join(path, name));
      expect(content.length).toBe(bytes);
      expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
      expect(about).toBeTruthy();
    }
  });

  it('holds the item table of that size: the first coordinates of every row, bit for bit', async () => {
    const { config } = artifact.manifest;
    const large = itemVectors(config, artifact.parameters, artifact.features);
    for (const dim of config.sizes) {
      const { path, manifest } = await saveEdgeModel(artifact, dim, folder);
      const bytes = await readFile(join(path, 'vectors.safetensors'));
      const { arrays } = decodeSafetensors(bytes);
      expect(Array.from(arrays, ([name, { shape }]) => ({ name, shape }))).toEqual(
        manifest.vectors.tensors.map(({ name, shape }) => ({ name, shape })),
      );
      const { data } = arrays.get('item_vectors')!;
      for (let i = 0; i < data.length; i++) {
        expect(data[i]).toBe(large[Math.floor(i / dim) * 8 + (i % dim)]);
      }
      const ids: unknown = JSON.parse(await readFile(join(path, 'items.json'), 'utf8'));
      expect(ids).toEqual(artifact.itemIds);
    }
  });

  it('starts where the platform starts: initial_query, and zeros that the first event builds on', async () => {
    const cell = createCell(artifact.manifest.config, artifact.parameters);
    const { path } = await saveEdgeModel(artifact, 4, folder);
    const { arrays } = decodeSafetensors(await readFile(join(path, 'vectors.safetensors')));
    const initial = arrays.get('initial_query')!.data;
    expect(initial).toEqual(cell.query(cell.emptyState(), 4));

    const [, onnx] = RUNTIMES[0]!;
    const shape = { blocks: cell.blocks, dim: 4 };
    const step = await openStep(onnx, await readFile(join(path, 'step.onnx')), shape);
    const item = arrays.get('item_vectors')!.data.subarray(8, 12);
    const [got] = await step.run([new Float32Array(2 * cell.blocks * 4)], [item]);
    await step.close();
    const large = itemVectors(artifact.manifest.config, artifact.parameters, artifact.features);
    const wanted = cell.query(cell.fold([large.subarray(16, 24)]), 4);
    got!.query.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5));
  });

  it('gives equal bytes for equal models', async () => {
    const [a, b] = [join(folder, 'a'), join(folder, 'b')];
    const first = await saveEdgeModel(artifact, 8, a);
    const second = await saveEdgeModel(artifact, 8, b);
    expect(second.manifest).toEqual(first.manifest);
  });

  it('refuses what is no size, writes over nothing, and leaves nothing where it cannot write', async () => {
    await expect(saveEdgeModel(artifact, 3, folder)).rejects.toThrow(/size 3; the model has 2, 4/);
    await saveEdgeModel(artifact, 4, folder);
    await expect(saveEdgeModel(artifact, 4, folder)).rejects.toThrow(/nothing is overwritten/);
    await mkdir(join(folder, 'v1_d8_onnx'));
    await expect(saveEdgeModel(artifact, 8, folder)).rejects.toThrow(/nothing is overwritten/);
    await writeFile(join(folder, 'file'), '');
    await expect(saveEdgeModel(artifact, 2, join(folder, 'file'))).rejects.toThrow(/Cannot write/);
    expect((await readdir(folder)).sort()).toEqual(['file', 'v1', 'v1_d4_onnx', 'v1_d8_onnx']);
  });
});
