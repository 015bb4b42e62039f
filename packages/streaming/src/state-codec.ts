/**
 * States as bytes, for a database column: a 20-byte header and the arrays as float32, little-endian.
 *
 *   offset 0  "NRS1"     format and its version
 *          4  uint32     K, blocks
 *          8  uint32     D, coordinates
 *         12  uint32     events
 *         16  uint32     edits
 *         20  float32 x  D (x), K D (Re h), K D (Im h)
 *
 * The bytes may be hostile (a restored dump, a bug): every length is checked before memory is taken,
 * and nothing that is not finite gets in.
 */
import { InvalidState } from '@nestrec/errors';
import type { UserState } from './user-state.js';

const MAGIC = 0x3153524e; // "NRS1" read as a little-endian uint32
const HEADER_BYTES = 20;
const MAX_UINT32 = 0xffff_ffff;

/** Bytes of an encoded state of K blocks and D coordinates. */
export function encodedStateBytes(blocks: number, dim: number): number {
  return HEADER_BYTES + 4 * dim * (1 + 2 * blocks);
}

/** The state as bytes; `decodeState` gives an equal one back. */
export function encodeState(state: UserState): Uint8Array {
  const bytes = new Uint8Array(encodedStateBytes(state.blocks, state.dim));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, state.blocks, true);
  view.setUint32(8, state.dim, true);
  view.setUint32(12, Math.min(state.events, MAX_UINT32), true);
  view.setUint32(16, Math.min(state.edits, MAX_UINT32), true);
  let offset = HEADER_BYTES;
  for (const values of [state.x, state.re, state.im]) {
    for (let i = 0; i < values.length; i++, offset += 4) view.setFloat32(offset, values[i]!, true);
  }
  return bytes;
}

/**
 * The state in `bytes`, which has to be of `expected` size where that is given.
 *
 * @throws InvalidState for anything that `encodeState` would not have written.
 */
export function decodeState(
  bytes: Uint8Array,
  expected?: { readonly blocks: number; readonly dim: number },
): UserState {
  if (bytes.length < HEADER_BYTES) refuse(`got ${bytes.length} bytes, the header alone has 20`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) refuse('it does not begin with NRS1');
  const blocks = view.getUint32(4, true);
  const dim = view.getUint32(8, true);
  if (blocks < 1 || dim < 1) refuse(`got ${blocks} blocks of ${dim} coordinates`);
  if (expected !== undefined && (blocks !== expected.blocks || dim !== expected.dim)) {
    refuse(
      `got ${blocks} blocks of ${dim} coordinates, wanted ${expected.blocks} of ${expected.dim}`,
    );
  }
  const wanted = encodedStateBytes(blocks, dim);
  if (bytes.length !== wanted) refuse(`got ${bytes.length} bytes, its header says ${wanted}`);
  const floats = new Float32Array((wanted - HEADER_BYTES) / 4);
  for (let i = 0; i < floats.length; i++) {
    const value = view.getFloat32(HEADER_BYTES + 4 * i, true);
    if (!Number.isFinite(value)) refuse(`number ${i} of it is ${value}`);
    floats[i] = value;
  }
  const width = blocks * dim;
  return {
    dim,
    blocks,
    x: floats.slice(0, dim),
    re: floats.slice(dim, dim + width),
    im: floats.slice(dim + width),
    events: view.getUint32(12, true),
    edits: view.getUint32(16, true),
  };
}

function refuse(fault: string): never {
  throw new InvalidState({ detail: `${fault}; rebuild the state from the user's events` });
}
