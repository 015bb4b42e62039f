/** Feeds arrays of any length to a hash, which takes less than 2 GiB at once. */
import type { Hash } from 'node:crypto';

const BYTES_AT_ONCE = 2 ** 28;

export function hashBytes(hash: Hash, array: Int32Array | Float32Array): void {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  for (let from = 0; from < bytes.length; from += BYTES_AT_ONCE) {
    hash.update(bytes.subarray(from, from + BYTES_AT_ONCE));
  }
}
