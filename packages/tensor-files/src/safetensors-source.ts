/**
 * Reads safetensors from where they lie, a tensor at a time: the file itself is never in memory, and may be larger than
 * one read or one array of bytes can be. What is refused is in safetensors.ts.
 *
 * Knows no files: the caller says how bytes are read.
 */
import type { NamedArray } from '@nestrec/contracts';
import { excerpt } from '@nestrec/errors';
import { readHeaderLength, readLayout, type SafetensorsContent } from './safetensors.js';
import { widen } from './widen.js';

export interface ByteSource {
  /** Bytes in all. */
  readonly size: number;
  /** Fills `into` with the bytes from `position` on, or throws. */
  read(into: Uint8Array, position: number): Promise<void>;
}

/** Bytes of one read: some systems read no more than 2 GiB at once. */
const READ_BYTES = 2 ** 26;

/** Throws `InvalidTensorFile`; the reason names the tensor or the byte. */
export async function readSafetensors(source: ByteSource): Promise<SafetensorsContent> {
  const { size } = source;
  const start = await bytesOf(source, 0, Math.min(size, 9));
  const header = await bytesOf(source, 0, 8 + readHeaderLength(start, size));
  const { metadata, entries, dataStart } = readLayout(header, size);
  const arrays = new Map<string, NamedArray>();
  for (const { name, type, shape, count, begin, end } of entries) {
    const bytes = await bytesOf(source, dataStart + begin, end - begin);
    const data = widen(bytes, 0, count, type, true, `tensor ${excerpt(name)}`);
    arrays.set(name, { shape, data });
  }
  return { arrays, metadata };
}

async function bytesOf(source: ByteSource, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let from = 0; from < length; from += READ_BYTES) {
    await source.read(bytes.subarray(from, from + READ_BYTES), position + from);
  }
  return bytes;
}
