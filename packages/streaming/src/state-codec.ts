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
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Bytes of an encoded state of K blocks and D coordinates. */
export function encodedStateBytes(blocks: number, dim: number): number {
  return HEADER_BYTES + 4 * dim * (1 + 2 * blocks);
}

/** The state as bytes; `decodeState` gives an equal one back. */
export function encodeState(state: UserState): Uint8Array {
  return encodeStates([state])[0]!;
}

/** `encodeState` of many, in one piece of memory: the collector counts pieces, and so do its pauses. */
export function encodeStates(states: readonly UserState[]): Uint8Array[] {
  const lengths = states.map((state) => encodedStateBytes(state.blocks, state.dim));
  const memory = new ArrayBuffer(lengths.reduce((a, b) => a + b, 0));
  let at = 0;
  return states.map((state, i) => {
    write(state, memory, at);
    at += lengths[i]!;
    return new Uint8Array(memory, at - lengths[i]!, lengths[i]);
  });
}

/** Writes a state from byte `at` on, a multiple of four. */
function write(state: UserState, memory: ArrayBuffer, at: number): void {
  const { x, re, im, blocks, dim, events, edits } = state;
  const header = new DataView(memory, at, HEADER_BYTES);
  [MAGIC, blocks, dim, events, edits].forEach((value, i) =>
    header.setUint32(4 * i, Math.min(value, MAX_UINT32), true),
  );
  const floats = new Float32Array(memory, at + HEADER_BYTES, x.length + re.length + im.length);
  floats.set(x);
  floats.set(re, x.length);
  floats.set(im, x.length + re.length);
  if (!LITTLE_ENDIAN) swapBytes(floats);
}

/**
 * The state in `bytes`, which has to be of `expected` size where that is given. The state takes the bytes
 * over where they are aligned (to four from the start of their memory): do not use them after.
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
  const start = bytes.byteOffset + HEADER_BYTES;
  const floats =
    start % 4 === 0
      ? new Float32Array(bytes.buffer, start, (wanted - HEADER_BYTES) / 4)
      : new Float32Array(bytes.slice(HEADER_BYTES).buffer);
  if (!LITTLE_ENDIAN) swapBytes(floats);
  assertFinite(floats);
  const width = blocks * dim;
  return {
    dim,
    blocks,
    x: floats.subarray(0, dim),
    re: floats.subarray(dim, dim + width),
    im: floats.subarray(dim + width),
    events: view.getUint32(12, true),
    edits: view.getUint32(16, true),
  };
}

function assertFinite(floats: Float32Array): void {
  // Zero times anything finite is zero; one sum without a branch is several times a test of each.
  let sum = 0;
  for (let i = 0; i < floats.length; i++) sum += 0 * floats[i]!;
  if (sum === 0) return;
  const at = floats.findIndex((value) => !Number.isFinite(value));
  refuse(`number ${at} of it is ${floats[at]}`);
}

/** Between the machine's order of bytes and the other one. */
function swapBytes(floats: Float32Array): void {
  const view = new DataView(floats.buffer, floats.byteOffset, floats.byteLength);
  for (let i = 0; i < floats.byteLength; i += 4) {
    view.setUint32(i, view.getUint32(i, true), false);
  }
}

function refuse(fault: string): never {
  throw new InvalidState({ detail: `${fault}; rebuild the state from the user's events` });
}
