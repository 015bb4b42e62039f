import { createRandom } from '@nestrec/random';
import type { NamedArray } from '@nestrec/contracts';
import { InvalidTensorFile, isError } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors, safetensorsParts } from './safetensors.js';
import { readSafetensors } from './safetensors-source.js';

const array = (shape: number[], values: number[]): NamedArray => ({
  shape,
  data: Float32Array.from(values),
});

const sample = new Map([
  ['weight', array([2, 3], [1, -2, 3.5, 0, 1e-30, -7])],
  ['bias', array([3], [0.25, NaN, Infinity])],
  ['empty', array([0, 4], [])],
  ['scalar', array([], [42])],
]);

/** A file with `header` as it stands (text or object) and `data` bytes behind it. */
function file(header: unknown, data: number[] | Uint8Array = []): Uint8Array {
  const text = typeof header === 'string' ? header : JSON.stringify(header);
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

function reasonOf(bytes: Uint8Array): string {
  try {
    decodeSafetensors(bytes);
  } catch (error) {
    if (isError(error, InvalidTensorFile)) return error.detail ?? '';
    throw error;
  }
  return 'accepted';
}

const one = (fields: Record<string, unknown>) => ({
  t: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...fields },
});
const eight = [0, 0, 128, 63, 0, 0, 0, 64];

describe('safetensors', () => {
  it('gives back names, order, shapes, bits and metadata', () => {
    const { arrays, metadata } = decodeSafetensors(encodeSafetensors(sample, { made: 'here ✓' }));
    expect([...arrays]).toEqual([...sample]);
    expect(metadata).toEqual({ made: 'here ✓' });
  });

  it('reads from a source what it reads from memory, and refuses the same', async () => {
    const bytes = encodeSafetensors(sample, { made: 'here' });
    const source = (part: Uint8Array) => ({
      size: part.length,
      read: async (into: Uint8Array, position: number) =>
        into.set(part.subarray(position, position + into.length)),
    });
    expect(await readSafetensors(source(bytes))).toEqual(decodeSafetensors(bytes));
    for (const length of [0, 8, 20, bytes.length - 1]) {
      const cut = bytes.slice(0, length);
      const reason = reasonOf(cut);
      expect(reason).not.toBe('accepted');
      await expect(readSafetensors(source(cut))).rejects.toMatchObject({ detail: reason });
    }
  });

  it('writes parts that are the file, without copies of the numbers', () => {
    const parts = [...safetensorsParts(sample)];
    expect(Buffer.concat(parts)).toEqual(Buffer.from(encodeSafetensors(sample)));
    expect(parts[1]!.buffer).toBe(sample.get('weight')!.data.buffer);
  });

  it('writes the same bytes for the same input, data at a multiple of 8', () => {
    const bytes = encodeSafetensors(sample);
    expect(bytes).toEqual(encodeSafetensors(sample));
    expect(new DataView(bytes.buffer).getBigUint64(0, true) % 8n).toBe(0n);
  });

  it('reads a file at an odd place in memory', () => {
    const bytes = encodeSafetensors(sample);
    const moved = new Uint8Array(bytes.length + 1);
    moved.set(bytes, 1);
    expect([...decodeSafetensors(moved.subarray(1)).arrays]).toEqual([...sample]);
  });

  it('widens F16, BF16, F64 and integers', () => {
    const header = {
      half: { dtype: 'F16', shape: [6], data_offsets: [0, 12] },
      brain: { dtype: 'BF16', shape: [2], data_offsets: [12, 16] },
      double: { dtype: 'F64', shape: [1], data_offsets: [16, 24] },
      int: { dtype: 'I32', shape: [1], data_offsets: [24, 28] },
      long: { dtype: 'I64', shape: [1], data_offsets: [28, 36] },
    };
    const data = new Uint8Array(36);
    const view = new DataView(data.buffer);
    [0x3c00, 0xc000, 0x0001, 0x7bff, 0xfc00, 0x3555].forEach((h, i) =>
      view.setUint16(2 * i, h, true),
    );
    [0x3f80, 0xc0a0].forEach((h, i) => view.setUint16(12 + 2 * i, h, true));
    view.setFloat64(16, Math.PI, true);
    view.setInt32(24, -16_777_216, true);
    view.setBigInt64(28, 77n, true);
    const { arrays } = decodeSafetensors(file(header, data));
    const half = [...arrays.get('half')!.data];
    expect(half.slice(0, 5)).toEqual([1, -2, 2 ** -24, 65504, -Infinity]);
    expect(half[5]).toBe(0.333251953125);
    expect([...arrays.get('brain')!.data]).toEqual([1, -5]);
    expect(arrays.get('double')!.data[0]).toBe(Math.fround(Math.PI));
    expect(arrays.get('int')!.data[0]).toBe(-16_777_216);
    expect(arrays.get('long')!.data[0]).toBe(77);
  });

  it('refuses an integer that float32 would change', () => {
    const data = new Uint8Array(8);
    new DataView(data.buffer).setBigInt64(0, 16_777_217n, true);
    const header = { ids: { dtype: 'I64', shape: [1], data_offsets: [0, 8] } };
    expect(reasonOf(file(header, data))).toMatch(/tensor ids: element 0 is the integer 16777217/);
  });

  const hostile: [string, Uint8Array, RegExp][] = [
    ['an empty file', new Uint8Array(0), /0 bytes/],
    ['a header length of 2^63', length(2n ** 63n), /bytes 0-7 announce .* 9223372036854775808/],
    ['a header above 100 MB', length(100_000_001n), /at most 100000000/],
    ['a header beyond the end', length(4_096n), /only 4 follow \(truncated/],
    ['a header of nothing', file(''), /byte 8/],
    ['a header that is a list', file('[]'), /byte 8/],
    ['a header that is not JSON', file('{"t": nope}'), /not valid JSON/],
    ['a header that is not UTF-8', file('{"t": 1}').fill(0xff, 10, 12), /not valid UTF-8/],
    ['a duplicate name', file('{"t":{}, "t":{}}'), /key "t" twice/],
    ['a duplicate name in escapes', file('{"t":{}, "\\u0074":{}}'), /key "t" twice/],
    ['a duplicate field', file('{"t":{"dtype":"F32","dtype":"F16"}}'), /"dtype" twice/],
    ['__proto__ as a name', file('{"__proto__":{}}'), /__proto__/],
    ['__proto__ in metadata', file('{"__metadata__":{"__proto__":"x"}}'), /__proto__/],
    ['metadata that are no strings', file({ __metadata__: { a: 1 } }), /__metadata__\.a/],
    ['a deep header', file(`{"t":${'['.repeat(10_000)}`), /nests deeper/],
    ['an endless name', file(`{"${'n'.repeat(2_000)}":1}`), /longer than 1024/],
    ['a tensor that is no object', file('{"t":[1]}'), /tensor t must be a JSON object/],
    ['an unknown field', file(one({ extra: 1 }), eight), /unknown field extra/],
    ['an unknown dtype', file(one({ dtype: 'Q4' }), eight), /tensor t has dtype Q4/],
    ['no dtype', file(one({ dtype: undefined }), eight), /dtype none/],
    ['a negative size', file(one({ shape: [-2] }), eight), /tensor t: shape must be/],
    ['a fractional size', file(one({ shape: [2.5] }), eight), /shape must be/],
    ['a countless shape', file(one({ shape: [2 ** 40, 2 ** 40] }), eight), /too large/],
    ['a shape of many dimensions', file(one({ shape: Array(9).fill(1) }), eight), /9 dimensions/],
    ['a shape unlike its offsets', file(one({ shape: [3] }), eight), /needs 12 bytes, .* give 8/],
    [
      'offsets that end before they begin',
      file(one({ data_offsets: [8, 0] }), eight),
      /before begin/,
    ],
    ['one offset', file(one({ data_offsets: [8] }), eight), /\[begin, end\]/],
    ['offsets beyond the end', file(one({}), eight.slice(4)), /tensor t ends at data byte 8/],
    ['trailing bytes', file(one({}), [...eight, 1]), /1 trailing bytes/],
    [
      'a hole',
      file(
        { ...one({}), u: { dtype: 'F32', shape: [1], data_offsets: [12, 16] } },
        new Uint8Array(16),
      ),
      /belong to no tensor/,
    ],
    [
      'an overlap',
      file(
        { ...one({}), u: { dtype: 'F32', shape: [2], data_offsets: [4, 12] } },
        new Uint8Array(12),
      ),
      /tensor u overlaps tensor t/,
    ],
    ['a pickle', Uint8Array.of(0x80, 4, 0x95, 1, 2, 3, 4, 5, 6, 7), /a Python pickle/],
    ['a zip', Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 0), /a zip archive/],
    ['a Git LFS pointer', new TextEncoder().encode('version https://git-lfs...'), /git lfs pull/],
  ];

  it.each(hostile)('refuses %s and says so', (_name, bytes, reason) => {
    expect(reasonOf(bytes)).toMatch(reason);
  });

  it('reads a header whose length looks like the mark of another format', () => {
    const name = 'n'.repeat(640 - JSON.stringify({ ...one({}) }).length + 1);
    const bytes = file({ [name]: one({}).t }, eight);
    expect([bytes[0], bytes[1]]).toEqual([0x80, 2]);
    expect(reasonOf(bytes)).toBe('accepted');
  });

  it('refuses or reads 1,000 seeded mutants without any other error, in 10 ms each', () => {
    const random = createRandom(11);
    const bytes = encodeSafetensors(sample, { a: 'b' });
    const started = performance.now();
    let refused = 0;
    for (let mutant = 0; mutant < 1_000; mutant++) {
      const changed = bytes.slice(0, mutant % 3 === 0 ? random.int(bytes.length) : bytes.length);
      const flips = mutant % 3 === 0 ? 0 : 1 + random.int(3);
      for (let f = 0; f < flips; f++) changed[random.int(changed.length)]! ^= 1 << random.int(8);
      const reason = reasonOf(changed);
      if (reason === 'accepted') continue;
      refused++;
      expect(reason).toMatch(/tensor|byte|header|metadata|this is/);
    }
    // Flips inside the numbers or a name are no fault of the format: SHA-256 in the manifest finds them.
    expect(refused).toBeGreaterThan(600);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('refuses every truncation', () => {
    const bytes = encodeSafetensors(sample);
    for (let size = 0; size < bytes.length; size++) {
      expect(reasonOf(bytes.subarray(0, size))).not.toBe('accepted');
    }
  });

  it('does not write what it would not read', () => {
    for (const [name, shape] of [
      ['__metadata__', [1]],
      ['__proto__', [1]],
      ['t', [2]],
      ['t', Array(9).fill(1)],
    ] as [string, number[]][]) {
      expect(() => encodeSafetensors(new Map([[name, array(shape, [1])]]))).toThrow(
        InvalidTensorFile.traits.publicMessage,
      );
    }
  });
});

function length(value: bigint): Uint8Array {
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}
