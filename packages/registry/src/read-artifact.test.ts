import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '@nestrec/contracts';
import { NestrecError } from '@nestrec/errors';
import { encodeSafetensors } from '@nestrec/tensor-files';
import { createRandom } from '@nestrec/random';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadArtifact, verifyArtifact } from './read-artifact.js';
import { saveArtifact } from './save-artifact.js';
import {
  editItemIds,
  editManifest,
  editTensors,
  makeDraft,
  replaceFile,
} from '../../../tests/helpers/artifact-draft.js';

let models = '';
let folder = '';
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'nestrec-registry-'));
  folder = join(models, 'v1');
  await saveArtifact(models, makeDraft());
});
afterEach(() => rm(models, { recursive: true, force: true }));

const weights = () => join(folder, 'weights.safetensors');
const set = (changes: Partial<Record<keyof Manifest, unknown>>) =>
  editManifest(folder, (manifest) => ({ ...manifest, ...changes }));
const setConfig = (changes: Partial<Manifest['config']>) =>
  editManifest(folder, (m) => ({ ...m, config: { ...m.config, ...changes } }));
const bytesOf = (text: string) => new TextEncoder().encode(text);

async function flipBit(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at]! ^= 1;
  await writeFile(path, bytes);
}

describe('verifyArtifact', () => {
  it('accepts what was saved, and lists the checks', async () => {
    const report = await verifyArtifact(folder);
    expect(report).toMatchObject({ accepted: true, version: 'v1', code: null, reason: null });
    expect(report.passed.length).toBeGreaterThanOrEqual(8);
  });

  it('accepts a folder of another name: a copy is the same model', async () => {
    await rename(folder, join(models, 'elsewhere'));
    expect((await verifyArtifact(`${join(models, 'elsewhere')}/`)).accepted).toBe(true);
  });
});

/** Every way of reliability.md 2E in which a folder can be wrong, what does it, and what must be said. */
const FAULTS: [string, () => Promise<unknown>, RegExp][] = [
  ['a truncated weights file', () => truncate(weights(), 100), /weights.*100 bytes.*truncated/],
  ['trailing bytes', () => appendFile(weights(), 'x'), /weights.*trailing bytes/],
  ['a bit flip in the weights', () => flipBit(weights(), 3_000), /weights.*SHA-256/],
  ['a bit flip in the header', () => flipBit(weights(), 12), /weights.*SHA-256/],
  ['a bit flip in the ids', () => flipBit(join(folder, 'items.json'), 5), /items.json.*SHA-256/],
  [
    'a bit flip in the encoder',
    () => flipBit(join(folder, 'encoder.safetensors'), 900),
    /encoder.*SHA-256/,
  ],
  [
    'a header that lies about its size',
    () => replaceFile(folder, 'weights.safetensors', lying()),
    /weights.*bytes 0-7/,
  ],
  [
    'a pickle by another name',
    () =>
      replaceFile(folder, 'weights.safetensors', Uint8Array.of(128, 4, 149, 9, 0, 0, 0, 0, 0, 0)),
    /weights.*pickle/,
  ],
  [
    'a zip by another name',
    () => replaceFile(folder, 'weights.safetensors', Uint8Array.of(80, 75, 3, 4, 0, 0, 0, 0, 0, 0)),
    /weights.*zip/,
  ],
  ['a missing file', () => rm(weights()), /weights.safetensors is missing/],
  ['a missing manifest', () => rm(join(folder, 'manifest.json')), /manifest.json is missing/],
  ['a linked file', () => link('weights.safetensors'), /weights.safetensors is a symbolic link/],
  ['a linked manifest', () => link('manifest.json'), /manifest.json is a symbolic link/],
  [
    'a folder in place of a file',
    () => rm(weights()).then(() => mkdir(weights())),
    /no plain file/,
  ],
  ['a manifest that is not JSON', () => writeFile(join(folder, 'manifest.json'), '{'), /not JSON/],
  [
    'a manifest that is a list',
    () => writeFile(join(folder, 'manifest.json'), '[]'),
    /JSON object/,
  ],
  [
    'an endless manifest',
    () => truncate(join(folder, 'manifest.json'), 2 ** 25),
    /at most 16777216/,
  ],
  [
    'a newer format',
    () => set({ formatVersion: 99 }),
    /format version 99; this nestrec reads up to 2/,
  ],
  ['an unknown older format', () => set({ formatVersion: 0 }), /format version 0, never written/],
  ['no format', () => set({ formatVersion: 'x' }), /formatVersion is x/],
  [
    'an unknown manifest field',
    () => set({ surprise: 1 } as never),
    /manifest.json, the top level/,
  ],
  ['a path as version', () => set({ version: '../../etc' }), /manifest.json, version/],
  [
    'a path as file name',
    () => set({ files: [{ name: '../x', bytes: 1, sha256: 'a'.repeat(64) }] }),
    /files.0.name/,
  ],
  ['an unlisted file', () => set({ files: [] }), /lists no file/],
  [
    'a file listed twice',
    () => editManifest(folder, (m) => ({ ...m, files: [...m.files, m.files[0]] })),
    /does not have once/,
  ],
  [
    'a missing tensor',
    () => editTensors(folder, (t) => t.delete('head.log_score_scale')),
    /head.log_score_scale is missing/,
  ],
  [
    'missing features',
    () => editTensors(folder, (t) => t.delete('item_features')),
    /item_features is missing/,
  ],
  [
    'an extra tensor',
    () => editTensors(folder, (t) => t.set('more', { shape: [1], data: Float32Array.of(1) })),
    /tensor more is not one of/,
  ],
  [
    'another shape',
    () =>
      editTensors(folder, (t) =>
        t.set('embedding.projector.bias', { shape: [2, 4], data: new Float32Array(8) }),
      ),
    /bias has shape \[2, 4\].*\[8\]/,
  ],
  [
    'NaN in a parameter',
    () => editTensors(folder, (t) => (t.get('head.log_score_scale')!.data[1] = NaN)),
    /head.log_score_scale has NaN at element 1/,
  ],
  [
    'Inf in the features',
    () => editTensors(folder, (t) => (t.get('item_features')!.data[3] = Infinity)),
    /item_features has Infinity at element 3/,
  ],
  [
    'an item of length zero',
    () => editTensors(folder, (t) => zeroItem(t, 2)),
    /item row 2 \("item-2"\) is zero in its first 2/,
  ],
  [
    'diverged weights',
    () => editTensors(folder, (t) => t.get('embedding.projector.weight')!.data.fill(3e38)),
    /not finite|float32 can hold/,
  ],
  ['another architecture', () => setConfig({ blocks: 2 }), /lru_blocks.1.*is missing/],
  ['another ladder of sizes', () => setConfig({ sizes: [2, 8] }), /configuration asks for/],
  ['sizes that fall', () => setConfig({ sizes: [8, 4] }), /sizes must increase/],
  [
    'another feature specification',
    () =>
      set({
        features: {
          modalities: [{ name: 'text', width: 6, kind: 'text', normalisation: 'l2' }],
          missingIndicators: false,
        },
      }),
    /has width 6, the configuration 7/,
  ],
  [
    'an encoder of another width',
    () =>
      replaceFile(
        folder,
        'encoder.safetensors',
        encodeSafetensors(makeDraft().encoder!.toArrays()).slice(0, -4),
      ),
    /encoder.safetensors/,
  ],
  [
    'an encoder that is none',
    () => replaceFile(folder, 'encoder.safetensors', encodeSafetensors(new Map())),
    /encoder.*text.settings is missing/,
  ],
  [
    'ids that are no list',
    () => replaceFile(folder, 'items.json', bytesOf('{}')),
    /items.json must be a JSON array/,
  ],
  [
    'an id that is a number',
    () => editItemIds(folder, (ids) => [7, ...ids.slice(1)], true),
    /row 0 is 7, not a string/,
  ],
  [
    'an id too few',
    () => editItemIds(folder, (ids) => ids.slice(1), true),
    /6 ids, the model has 7/,
  ],
  [
    'an id too many',
    () => editItemIds(folder, (ids) => [...ids, 'x'], true),
    /8 ids, the model has 7/,
  ],
  [
    'the same id twice',
    () => editItemIds(folder, (ids) => [...ids.slice(0, 6), ids[0]!], true),
    /rows 0 and 6 have the same id/,
  ],
  [
    'an id with a control character',
    () => editItemIds(folder, (ids) => ['a\u0007', ...ids.slice(1)], true),
    /row 0.*control character/,
  ],
  [
    'ids in another order',
    () => editItemIds(folder, (ids) => ids.toReversed(), false),
    /the ids, or their order/,
  ],
  ['a lambda of other weights', () => set({ lambdaMax: 0.01 }), /lambdaMax is 0.01/],
  [
    'a replay that is too short',
    () => set({ replayEvents: 1 }),
    /replayEvents is 1, the weights need/,
  ],
];

function lying(): Uint8Array {
  const bytes = new Uint8Array(64);
  new DataView(bytes.buffer).setBigUint64(0, 2n ** 63n, true);
  return bytes;
}

async function link(name: string): Promise<void> {
  await copyFile(join(folder, name), join(models, name));
  await rm(join(folder, name));
  await symlink(join(models, name), join(folder, name));
}

/** Makes E = P f + p + R of one row cancel in its first two coordinates. */
function zeroItem(tensors: Parameters<Parameters<typeof editTensors>[1]>[0], row: number): void {
  for (const name of ['embedding.projector.weight', 'embedding.projector.bias']) {
    tensors.get(name)!.data.fill(0);
  }
  tensors.get('embedding.item_residual')!.data.fill(0, row * 8, row * 8 + 2);
}

describe('an artifact is refused, with the same reason by load and by verify, for', () => {
  it.each(FAULTS)('%s', async (_name, damage, reason) => {
    await damage();
    const report = await verifyArtifact(folder);
    expect(report.accepted).toBe(false);
    expect(report.reason).toMatch(reason);
    const error = await loadArtifact(folder).then(
      () => null,
      (refusal: unknown) => refusal,
    );
    expect(error).toBeInstanceOf(NestrecError);
    const { code, detail } = error as NestrecError;
    expect({ code, detail }).toEqual({ code: report.code, detail: report.reason });
    expect(code).toBe('invalid_artifact');
  });

  it('a folder that is a link, or not there, or a file', async () => {
    const linked = join(models, 'linked');
    await symlink(folder, linked);
    for (const path of [linked, `${linked}/`]) {
      expect((await verifyArtifact(path)).reason).toMatch(/is a symbolic link/);
    }
    expect(await verifyArtifact(join(models, 'none'))).toMatchObject({ code: 'input_not_found' });
    expect((await verifyArtifact(weights())).reason).toMatch(/is a file/);
  });

  it('every single bit flip and every truncation of every file', async () => {
    const random = createRandom(7);
    for (const name of ['weights.safetensors', 'items.json', 'encoder.safetensors']) {
      const path = join(folder, name);
      const bytes = await readFile(path);
      for (let mutant = 0; mutant < 60; mutant++) {
        const changed = Uint8Array.from(bytes);
        if (mutant % 2) changed[random.int(bytes.length)]! ^= 1 << random.int(8);
        await writeFile(path, mutant % 2 ? changed : changed.slice(0, random.int(bytes.length)));
        const report = await verifyArtifact(folder);
        expect(report.reason).toContain(name);
      }
      await writeFile(path, bytes);
    }
    expect((await verifyArtifact(folder)).accepted).toBe(true);
  });
});
