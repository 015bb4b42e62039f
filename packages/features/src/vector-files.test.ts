import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputNotFound, InvalidInput } from '@nestrec/errors';
import { encodeNpy, encodeSafetensors } from '@nestrec/tensor-files';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogueOrder, readVectors, vectorsByItem } from './vector-files.js';

const matrix = { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-vectors-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: Uint8Array | string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe('readVectors', () => {
  it('reads .safetensors, .npy and .jsonl', async () => {
    const tensors = await file('a.safetensors', encodeSafetensors(new Map([['text', matrix]])));
    expect(await readVectors(tensors)).toEqual({ array: matrix });
    const npy = await file('a.npy', encodeNpy(matrix));
    expect(await readVectors(npy)).toEqual({ array: matrix });
    const lines = '{"item_id":"x","vector":[1,2,3]}\n\n{"item_id":"y","vector":[4,5,6]}\r\n';
    const read = await readVectors(await file('a.jsonl', lines));
    expect(read).toEqual({ ids: ['x', 'y'], array: matrix });
  });

  it('reads many lines', async () => {
    const rows = Array.from({ length: 1_000 }, (_, i) => ({ item_id: `i${i}`, vector: [i, -i] }));
    const path = await file('many.jsonl', rows.map((row) => JSON.stringify(row)).join('\n'));
    const { ids, array } = await readVectors(path);
    expect(array.shape).toEqual([1_000, 2]);
    expect([ids![999], array.data[1_998], array.data[1_999]]).toEqual(['i999', 999, -999]);
  });

  it('takes the tensor that is named, or the one called vectors', async () => {
    const other = { shape: [1, 1], data: Float32Array.of(9) };
    const several = new Map([
      ['other', other],
      ['vectors', matrix],
    ]);
    const path = await file('several.safetensors', encodeSafetensors(several));
    expect((await readVectors(path)).array).toEqual(matrix);
    expect((await readVectors(path, { tensor: 'other' })).array).toEqual(other);
    await expect(readVectors(path, { tensor: 'none' })).rejects.toThrow(/no tensor "none"/);
  });

  it('joins an ids file row by row', async () => {
    const path = await file('b.npy', encodeNpy(matrix));
    const idsPath = await file('ids.txt', 'x\ny\n');
    expect((await readVectors(path, { idsPath })).ids).toEqual(['x', 'y']);
    const short = await file('short.txt', 'x\n');
    await expect(readVectors(path, { idsPath: short })).rejects.toThrow(/1 ids for 2 rows/);
    const twice = await file('twice.txt', 'x\nx\n');
    await expect(readVectors(path, { idsPath: twice })).rejects.toThrow(/line 2: .*"x".* twice/);
  });

  const row = (vector: string, id = '"x"') => `{"item_id":${id},"vector":${vector}}`;
  const bad: [string, string, Uint8Array | string, RegExp][] = [
    ['another ending', 'v.pkl', 'x', /ending is "\.pkl"/],
    [
      'a pickle by another name',
      'v.npy',
      Uint8Array.of(128, 4, 149, 0, 0, 0, 0, 0, 0, 0),
      /pickle/,
    ],
    ['one dimension', 'v1.npy', encodeNpy({ shape: [6], data: matrix.data }), /shape is \[6\]/],
    ['no rows', 'v0.npy', encodeNpy({ shape: [0, 3], data: new Float32Array() }), /\[0, 3\]/],
    [
      'NaN',
      'nan.npy',
      encodeNpy({ shape: [1, 2], data: Float32Array.of(1, NaN) }),
      /row 0, column 1/,
    ],
    ['no lines', 'none.jsonl', '\n', /shape is \[0, 0\]/],
    ['no JSON', 'text.jsonl', 'hello', /line 1 is not JSON/],
    ['null', 'null.jsonl', 'null', /line 1: item_id/],
    ['a number as id', 'id.jsonl', row('[1]', '7'), /line 1: item_id must be a string/],
    ['an empty id', 'empty.jsonl', row('[1]', '""'), /line 1: .* is empty/],
    ['the same id twice', 'same.jsonl', `${row('[1]')}\n${row('[2]')}`, /line 2: .* twice/],
    ['an empty vector', 'ev.jsonl', row('[]'), /line 1: vector must be/],
    ['text in a vector', 'tv.jsonl', row('["1"]'), /line 1: vector must be/],
    ['another width', 'w.jsonl', `${row('[1]')}\n${row('[1,2]', '"y"')}`, /line 2 has 2 numbers/],
    ['an endless line', 'long.jsonl', 'x'.repeat(1_000_001), /line 1 has 1000001 characters/],
    ['numbers beyond float32', 'big.jsonl', row('[1e300]'), /row 0, column 0 is Infinity/],
  ];

  it.each(bad)('refuses %s with the place', async (_what, name, content, reason) => {
    const reading = readVectors(await file(name, content));
    await expect(reading).rejects.toThrow(reason);
    await expect(reading).rejects.toThrow(InvalidInput.traits.publicMessage);
  });

  it('says when a file cannot be read', async () => {
    for (const name of ['gone.npy', 'gone.jsonl']) {
      await expect(readVectors(join(folder, name))).rejects.toThrow(/ENOENT/);
      await expect(readVectors(join(folder, name))).rejects.toThrow(
        InputNotFound.traits.publicMessage,
      );
    }
  });
});

describe('vectorsByItem', () => {
  it('follows the ids of the file, else the order of the item list', () => {
    const own = vectorsByItem({ ids: ['b', 'a'], array: matrix }, ['a', 'b', 'c']);
    expect([...own.get('a')!]).toEqual([4, 5, 6]);
    expect(own.has('c')).toBe(false);
    expect([...vectorsByItem({ array: matrix }, ['a', 'b']).get('a')!]).toEqual([1, 2, 3]);
  });

  it('refuses a list of another length', () => {
    expect(() => vectorsByItem({ array: matrix }, ['a'])).toThrow(/2 vectors .* list of 1 items/);
  });
});

describe('rows without ids', () => {
  it('follow whole numbers by number, since a file ends its row 10 after its row 9', () => {
    expect(catalogueOrder(['1', '10', '2'])).toEqual({ by: 'number', ids: ['1', '2', '10'] });
  });

  it('follow other ids by text, whatever order the database sorts in', () => {
    expect(catalogueOrder(['b', '10', 'B', '2'])).toEqual({
      by: 'text',
      ids: ['10', '2', 'B', 'b'],
    });
    expect(catalogueOrder(['01', '1', '10']).by).toBe('text');
  });
});
