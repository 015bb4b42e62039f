/** Hashes of arrays of any length; a hash takes less than 2 GiB at once. */
import { createHash, type Hash } from 'node:crypto';
import type { NamedArrays } from '@nestrec/contracts';

const BYTES_AT_ONCE = 2 ** 28;

export function hashBytes(hash: Hash, array: Int32Array | Float32Array): void {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  for (let from = 0; from < bytes.length; from += BYTES_AT_ONCE) {
    hash.update(bytes.subarray(from, from + BYTES_AT_ONCE));
  }
}

/** SHA-256 over names, shapes and float32 bytes, names sorted: equal only for equal weights. */
export function hashArrays(arrays: NamedArrays): string {
  const hash = createHash('sha256');
  for (const name of [...arrays.keys()].sort()) {
    const { shape, data } = arrays.get(name)!;
    hash.update(`${name}\n${shape.join('x')}\n`);
    hashBytes(hash, data);
  }
  return hash.digest('hex');
}
