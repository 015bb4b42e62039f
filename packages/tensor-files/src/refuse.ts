/**
 * How a tensor file is refused: one error class, and a guess at what a foreign file really is.
 *
 * Knows no file names: callers that have one put it before the reason.
 */
import { InvalidTensorFile } from '@nestrec/errors';

/** Always throws `InvalidTensorFile`; the reason names the tensor or the byte. */
export function refuse(reason: string): never {
  throw new InvalidTensorFile({ detail: reason });
}

const FOREIGN: readonly (readonly [readonly number[], string])[] = [
  [[0x50, 0x4b, 0x03, 0x04], 'a zip archive (.npz, or weights saved by PyTorch)'],
  [[0x50, 0x4b, 0x05, 0x06], 'an empty zip archive'],
  [[0x1f, 0x8b], 'a gzip file'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'a Zstandard file'],
  [[0x89, 0x48, 0x44, 0x46], 'an HDF5 file'],
  [[0x47, 0x47, 0x55, 0x46], 'a GGUF file'],
  [[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59], 'a .npy file'],
  [[0x76, 0x65, 0x72, 0x73, 0x69, 0x6f, 0x6e, 0x20, 0x68], 'a Git LFS pointer (run: git lfs pull)'],
];

/**
 * What `bytes` are, judged by their first bytes, when they are none of the formats read here; else null.
 * Pickles (which can run code when read by Python) are recognised by protocol mark or by their opcodes.
 */
export function foreignFormat(bytes: Uint8Array): string | null {
  for (const [magic, name] of FOREIGN) {
    if (bytes.length >= magic.length && magic.every((byte, i) => bytes[i] === byte)) return name;
  }
  const protocol = bytes[1] ?? 0;
  if (bytes[0] === 0x80 && protocol >= 2 && protocol <= 5 && isPickleOpcode(bytes[2])) {
    return 'a Python pickle (it can run code; nestrec never reads it)';
  }
  return null;
}

/** First opcodes that pickles of protocol 2 to 5 begin with: FRAME, EMPTY_DICT/LIST/TUPLE, MARK, GLOBAL, LONG1, BINPUT. */
function isPickleOpcode(byte: number | undefined): boolean {
  return (
    byte !== undefined &&
    [0x95, 0x7d, 0x5d, 0x29, 0x28, 0x63, 0x8a, 0x71, 0x58, 0x8c].includes(byte)
  );
}
