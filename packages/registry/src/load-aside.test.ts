import { mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import type * as Runtime from '@nestrec/runtime';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
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

const threads = vi.hoisted(() => ({ started: 0 }));
vi.mock('@nestrec/runtime', async (original) => {
  const runtime = await original<typeof Runtime>();
  const startThread: typeof runtime.startThread = (...call) => {
    threads.started += 1;
    return runtime.startThread(...call);
  };
  return { ...runtime, startThread };
});

const sizeOfArtifact = async () => {
  const names = await readdir(folder);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
};

describe.each([
  ['a large artifact, in a thread,', { threadFromBytes: 0 }, true],
  ['a small artifact, without one,', {}, false],
] as const)('%s', (_name, options, inThread) => {
  const aside = () => loadArtifactAside(folder, options);
  const serving = () => loadServingArtifact(folder, options);

  it('is the same to the bit, and encodes texts as the same', async () => {
    const [here, there] = [await loadArtifact(folder), await aside()];
    const comparable = ({ encoder, ...rest }: typeof here) => ({
      ...rest,
      encoder: encoder?.toArrays() ?? null,
    });
    expect(comparable(there)).toEqual(comparable(here));
  });

  it('for serving is its manifest and every parameter but the item residual, to the bit', async () => {
    const [whole, part] = [await loadArtifact(folder), await serving()];
    expect(part.manifest).toEqual(whole.manifest);
    const wanted = new Map(whole.parameters);
    wanted.delete(ITEM_RESIDUAL);
    expect(part.parameters).toEqual(wanted);
  });

  it('starts a thread only where one is due', async () => {
    const before = threads.started;
    await aside();
    await serving();
    expect(threads.started - before).toBe(inThread ? 2 : 0);
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
    expect(await refusal(serving())).toEqual(refused);
    expect(await refusal(aside())).toEqual(refused);
  });
});

it('an artifact is large from the bytes of all of its files on', async () => {
  const before = threads.started;
  const bytes = await sizeOfArtifact();
  await loadServingArtifact(folder, { threadFromBytes: bytes + 1 });
  expect(threads.started - before).toBe(0);
  await loadServingArtifact(folder, { threadFromBytes: bytes });
  expect(threads.started - before).toBe(1);
});
