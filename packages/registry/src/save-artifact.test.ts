import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OutputNotWritable } from '@nestrec/errors';
import { decodeSafetensors } from '@nestrec/tensor-files';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listArtifacts } from './list-artifacts.js';
import { loadArtifact } from './read-artifact.js';
import { saveArtifact } from './save-artifact.js';
import { editManifest, makeDraft } from '../../../tests/helpers/artifact-draft.js';

let models = '';
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'nestrec-registry-'));
});
afterEach(() => rm(models, { recursive: true, force: true }));

describe('saveArtifact', () => {
  it('gives back on load what was saved, bit by bit', async () => {
    const draft = makeDraft();
    const manifest = await saveArtifact(models, draft);
    const loaded = await loadArtifact(join(models, 'v1'));
    expect(loaded.manifest).toEqual(manifest);
    expect([...loaded.parameters]).toEqual([...draft.parameters]);
    expect([loaded.features, loaded.itemIds]).toEqual([draft.features, draft.itemIds]);
    const text = 'a green lamp';
    expect(loaded.encoder!.encode(text)).toEqual(draft.encoder!.encode(text));
  });

  it('leaves a folder that thirty lines in any language can read', async () => {
    await saveArtifact(models, makeDraft());
    const folder = join(models, 'v1');
    const names = ['encoder.safetensors', 'items.json', 'manifest.json', 'weights.safetensors'];
    expect((await readdir(folder)).sort()).toEqual(names);
    const { arrays } = decodeSafetensors(await readFile(join(folder, 'weights.safetensors')));
    expect(arrays.get('item_features')!.shape).toEqual([7, 7]);
    expect(arrays.get('embedding.item_residual')!.shape).toEqual([7, 8]);
    const ids = JSON.parse(await readFile(join(folder, 'items.json'), 'utf8')) as unknown;
    expect(ids).toEqual(makeDraft().itemIds);
  });

  it('needs neither features nor encoder', async () => {
    const draft = makeDraft();
    const { manifest } = draft;
    const config = { ...manifest.config, featureWidth: 0 };
    const parameters = new Map(draft.parameters);
    parameters.delete('embedding.projector.weight');
    await saveArtifact(models, {
      manifest: { ...manifest, config, features: { modalities: [], missingIndicators: true } },
      ...{ parameters, itemIds: draft.itemIds, features: new Float32Array(0), encoder: null },
    });
    const loaded = await loadArtifact(join(models, 'v1'));
    expect([loaded.features.length, loaded.encoder]).toEqual([0, null]);
  });

  it('never overwrites a version, whoever of two writers comes first', async () => {
    const saves = [makeDraft(), makeDraft('v1', { seed: 2 })].map((d) => saveArtifact(models, d));
    const results = await Promise.allSettled(saves);
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(1);
    expect(String(refused[0]!.reason)).toMatch(/a model version "v1" already/);
    await expect(saveArtifact(models, makeDraft())).rejects.toThrow(/never overwritten/);
    expect(await readdir(models)).toEqual(['v1']);
  });

  it('refuses a draft that would not load, and writes nothing', async () => {
    const broken = makeDraft();
    broken.parameters.get('embedding.projector.bias')!.data[0] = NaN;
    await expect(saveArtifact(models, broken)).rejects.toThrow(
      /tensor embedding.projector.bias has NaN at element 0/,
    );
    const named = makeDraft('No Such Name');
    await expect(saveArtifact(models, named)).rejects.toThrow(/manifest.json, version/);
    expect(await readdir(models)).toEqual([]);
  });

  it('says when the folder cannot be written, and leaves nothing', async () => {
    const file = join(models, 'file');
    await writeFile(file, '');
    const saving = saveArtifact(file, makeDraft());
    await expect(saving).rejects.toThrow(/ENOTDIR|EEXIST/);
    await expect(saving).rejects.toThrow(OutputNotWritable.traits.publicMessage);
    expect(await readdir(models)).toEqual(['file']);
  });

  // Root may write anywhere, so there is nothing to refuse.
  it.skipIf(process.getuid?.() === 0)('says when rights are missing', async () => {
    await chmod(models, 0o500);
    await expect(saveArtifact(models, makeDraft())).rejects.toThrow(/EACCES/);
    await chmod(models, 0o700);
  });
});

describe('listArtifacts', () => {
  it('lists the oldest first, skips unfinished writes, and says what is wrong with the rest', async () => {
    const at = (createdAt: string) => ({ createdAt });
    await saveArtifact(models, makeDraft('newer', at('2026-11-23T12:00:00Z')));
    await saveArtifact(models, makeDraft('older', at('2026-11-22T12:00:00Z')));
    await saveArtifact(models, makeDraft('copy', at('2026-11-24T12:00:00Z')));
    await editManifest(join(models, 'copy'), (m) => ({ ...m, version: 'newer' }));
    await mkdir(join(models, '.v9.abc.tmp'));
    await mkdir(join(models, 'hollow'));
    await symlink(join(models, 'older'), join(models, 'linked'));
    await writeFile(join(models, 'notes.txt'), '');
    const listed = (await listArtifacts(models)).map(({ folder, problem }) => [folder, problem]);
    expect(listed).toEqual([
      ['older', null],
      ['newer', null],
      ['copy', 'the folder is named "copy", its manifest says version "newer"'],
      ['hollow', expect.stringMatching(/manifest.json is missing/)],
      ['linked', expect.stringMatching(/symbolic link/)],
      ['notes.txt', expect.stringMatching(/is a file/)],
    ]);
  });

  it('holds nothing when the folder does not exist yet', async () => {
    expect(await listArtifacts(join(models, 'none'))).toEqual([]);
    await writeFile(join(models, 'file'), '');
    await expect(listArtifacts(join(models, 'file'))).rejects.toThrow(/ENOTDIR/);
  });
});
