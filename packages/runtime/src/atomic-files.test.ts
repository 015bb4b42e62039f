import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  removeStaleTemporaries,
  removeTemporariesOf,
  writeFileAtomic,
  writeFolderAtomic,
} from './index.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-atomic-'));
});

describe('atomic files', () => {
  it('replaces a file in one step and leaves nothing beside it', async () => {
    await writeFileAtomic(join(folder, 'a.json'), '1');
    await writeFileAtomic(join(folder, 'a.json'), '2');
    expect(await readFile(join(folder, 'a.json'), 'utf8')).toBe('2');
    expect(await readdir(folder)).toEqual(['a.json']);
  });

  it('writes a file part by part, and keeps the old one where a part fails', async () => {
    const path = join(folder, 'a.bin');
    const parts = (...texts: string[]) => texts.map((text) => new TextEncoder().encode(text));
    await writeFileAtomic(path, parts('ab', 'c'));
    expect(await readFile(path, 'utf8')).toBe('abc');
    function* failing() {
      yield* parts('x');
      throw new Error('no more');
    }
    await expect(writeFileAtomic(path, failing())).rejects.toThrow('no more');
    expect(await readFile(path, 'utf8')).toBe('abc');
    expect(await readdir(folder)).toEqual(['a.bin']);
  });

  it('makes a folder appear only when its filling succeeded', async () => {
    const failing = writeFolderAtomic(join(folder, 'v1'), async (temporary) => {
      await writeFile(join(temporary, 'part'), 'x');
      throw new Error('disk full');
    });
    await expect(failing).rejects.toThrow('disk full');
    expect(await readdir(folder)).toEqual([]);
    await writeFolderAtomic(join(folder, 'v1'), (t) => writeFile(join(t, 'whole'), 'x'));
    expect(await readdir(join(folder, 'v1'))).toEqual(['whole']);
  });

  it('never overwrites a folder that stands there', async () => {
    const write = () => writeFolderAtomic(join(folder, 'v1'), (t) => writeFile(join(t, 'f'), 'x'));
    await write();
    await expect(write()).rejects.toThrow(/EEXIST|ENOTEMPTY/);
    expect(await readdir(folder)).toEqual(['v1']);
  });

  it('clears what a crashed writer left', async () => {
    await writeFile(join(folder, '.a.json.0123456789ab.tmp'), 'half');
    await writeFile(join(folder, 'kept.tmp'), '');
    expect(await removeStaleTemporaries(folder)).toEqual(['.a.json.0123456789ab.tmp']);
    expect(await readdir(folder)).toEqual(['kept.tmp']);
  });

  it('clears what crashed writers of one target left, whole folders too, and nothing of another', async () => {
    await mkdir(join(folder, '.v1.0123456789ab.tmp'));
    await writeFile(join(folder, '.v1.0123456789ab.tmp', 'part'), 'half');
    const others = ['.v1.safetensors.0123456789ab.tmp', '.v10.0123456789ab.tmp', 'v1'];
    for (const name of others) await writeFile(join(folder, name), '');
    expect(await removeTemporariesOf(join(folder, 'v1'))).toEqual(['.v1.0123456789ab.tmp']);
    expect((await readdir(folder)).sort()).toEqual(others.sort());
    expect(await removeTemporariesOf(join(folder, 'missing', 'v1'))).toEqual([]);
  });
});
