import { createRandom } from '@nestrec/random';
import { InvalidTensorFile, isError } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { decodeNpy, encodeNpy } from './npy.js';

/** A format 1.0 file as NumPy writes it: `dict` padded with spaces and a newline. */
function npy(dict: string, data: Uint8Array): Uint8Array {
  const header = new TextEncoder().encode(`${dict}\n`);
  const bytes = new Uint8Array(10 + header.length + data.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(header, 10);
  bytes.set(data, 10 + header.length);
  return bytes;
}

const dict = (descr: string, shape: string, fortran = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;

function floats(values: number[], littleEndian = true): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  values.forEach((v, i) => new DataView(bytes.buffer).setFloat32(i * 4, v, littleEndian));
  return bytes;
}

function reasonOf(bytes: Uint8Array): string {
  try {
    decodeNpy(bytes);
  } catch (error) {
    if (isError(error, InvalidTensorFile)) return error.detail ?? '';
    throw error;
  }
  return 'accepted';
}

describe('npy', () => {
  it('gives back shape and bits, data at a multiple of 64', () => {
    for (const shape of [[2, 3], [6], [1, 2, 3]]) {
      const data = Float32Array.from([1, -2.5, 3, NaN, 1e30, 0]);
      const bytes = encodeNpy({ shape, data });
      expect(decodeNpy(bytes)).toEqual({ shape, data });
      expect((bytes.length - 24) % 64).toBe(0);
    }
  });

  it('reads f2, f4, f8 and integers of either byte order', () => {
    const half = Uint8Array.of(0x00, 0x3c, 0x00, 0xc0);
    expect([...decodeNpy(npy(dict('<f2', '(2,)'), half)).data]).toEqual([1, -2]);
    const big = decodeNpy(npy(dict('>f4', '(2, 1)'), floats([1.5, -3], false)));
    expect([...big.data]).toEqual([1.5, -3]);
    const double = new Uint8Array(Float64Array.of(0.1).buffer);
    expect(decodeNpy(npy(dict('<f8', '()'), double)).data[0]).toBe(Math.fround(0.1));
    const long = new Uint8Array(BigInt64Array.of(-5n).buffer);
    expect(decodeNpy(npy(dict('<i8', '(1,)'), long)).data[0]).toBe(-5);
  });

  it('turns Fortran order into rows', () => {
    const stored = floats([1, 4, 2, 5, 3, 6]);
    const { shape, data } = decodeNpy(npy(dict('<f4', '(2, 3)', 'True'), stored));
    expect([shape, [...data]]).toEqual([
      [2, 3],
      [1, 2, 3, 4, 5, 6],
    ]);
    const cube = decodeNpy(npy(dict('<f4', '(2, 1, 2)', 'True'), floats([1, 3, 2, 4])));
    expect([...cube.data]).toEqual([1, 2, 3, 4]);
  });

  const data = floats([1, 2]);
  const hostile: [string, Uint8Array, RegExp][] = [
    ['an empty file', new Uint8Array(0), /mark of a \.npy file/],
    ['an .npz', Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 0), /a zip archive/],
    ['a pickle', Uint8Array.of(0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 0), /a Python pickle/],
    ['format 9', npy(dict('<f4', '(2,)'), data).fill(9, 6, 7), /format 9\.0/],
    ['a header beyond the end', npy(dict('<f4', '(2,)'), data).fill(255, 8, 10), /truncated/],
    ['pickled objects', npy(dict('|O', '(2,)'), data), /pickled Python objects/],
    ['8-bit numbers', npy(dict('|i1', '(8,)'), data), /descr is \|i1/],
    ['a structured array', npy("{'descr': [('a', '<f4')], }", data), /the array is structured/],
    ['no shape', npy("{'descr': '<f4', 'fortran_order': False, }", data), /shape is absent/],
    ['no order', npy("{'descr': '<f4', 'shape': (2,), }", data), /fortran_order is absent/],
    ['a field twice', npy("{'shape': (2,), 'shape': (2,), }", data), /'shape' twice/],
    ['code in the header', npy("{'descr': __import__('os'), }", data), /malformed at/],
    ['a countless shape', npy(dict('<f4', '(99999999999, 99999999999)'), data), /too large/],
    ['a shape with a hole', npy(dict('<f4', '(2,,)'), data), /shape is/],
    ['too few bytes', npy(dict('<f4', '(3,)'), data), /needs 12 bytes .* the file has 8/],
    ['trailing bytes', npy(dict('<f4', '(1,)'), data), /needs 4 bytes .* the file has 8/],
  ];

  it.each(hostile)('refuses %s and says so', (_name, bytes, reason) => {
    expect(reasonOf(bytes)).toMatch(reason);
  });

  it('refuses or reads 500 seeded mutants without any other error', () => {
    const random = createRandom(5);
    const bytes = encodeNpy({ shape: [4, 2], data: new Float32Array(8) });
    for (let mutant = 0; mutant < 500; mutant++) {
      const changed = bytes.slice(0, mutant % 2 ? bytes.length : random.int(bytes.length));
      if (changed.length > 0) changed[random.int(changed.length)]! ^= 1 << random.int(8);
      const reason = reasonOf(changed);
      if (changed.length < bytes.length) expect(reason).not.toBe('accepted');
      expect(typeof reason).toBe('string');
    }
  });
});
