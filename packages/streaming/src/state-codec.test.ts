import fc from 'fast-check';
import { isError, InvalidState } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { decodeState, encodeState, encodeStates, encodedStateBytes } from './state-codec.js';
import { createState, type UserState } from './user-state.js';

const states = fc
  .record({
    blocks: fc.integer({ min: 1, max: 3 }),
    dim: fc.integer({ min: 1, max: 20 }),
    events: fc.nat(),
    edits: fc.nat(3),
    fill: fc.float({ noNaN: true, noDefaultInfinity: true }),
  })
  .map(({ blocks, dim, events, edits, fill }): UserState => {
    const state = createState(blocks, new Float32Array(dim).fill(fill));
    state.re.forEach((_, i) => (state.re[i] = fill / (i + 1)));
    state.im.fill(-fill);
    return Object.assign(state, { events, edits });
  });
const refused = (bytes: Uint8Array, size?: { blocks: number; dim: number }): boolean => {
  try {
    decodeState(bytes, size);
    return false;
  } catch (error) {
    if (!isError(error, InvalidState)) throw error;
    return true;
  }
};

describe('state bytes', () => {
  it('decode to the state they were made from, also from the middle of a larger buffer', () => {
    fc.assert(
      fc.property(states, fc.nat(9), (state, offset) => {
        const bytes = encodeState(state);
        expect(bytes.length).toBe(encodedStateBytes(state.blocks, state.dim));
        const around = new Uint8Array(bytes.length + offset + 3).fill(0xff);
        around.set(bytes, offset);
        expect(decodeState(around.subarray(offset, offset + bytes.length), state)).toEqual(state);
      }),
    );
  });

  it('of many states are those of each', () => {
    fc.assert(
      fc.property(fc.array(states, { maxLength: 5 }), (many) => {
        expect(encodeStates(many)).toEqual(many.map(encodeState));
      }),
    );
  });

  it('lie as documented: NRS1, K, D, events, edits, then float32, little-endian', () => {
    const state = Object.assign(createState(1, Float32Array.of(1.5)), { events: 258, edits: 2 });
    state.re[0] = -2;
    expect(Buffer.from(encodeState(state)).toString('hex')).toBe(
      '4e525331' +
        '01000000' +
        '01000000' +
        '02010000' +
        '02000000' +
        '0000c03f' +
        '000000c0' +
        '00000000',
    );
  });

  it('are refused when cut, longer, foreign, of another size, or not finite', () => {
    const state = createState(2, Float32Array.of(1, 2, 3));
    const bytes = encodeState(state);
    for (let length = 0; length < bytes.length; length++) {
      expect(refused(bytes.subarray(0, length))).toBe(true);
    }
    expect(refused(Uint8Array.of(...bytes, 0))).toBe(true);
    expect(refused(bytes, { blocks: 2, dim: 4 })).toBe(true);
    expect(refused(bytes, { blocks: 1, dim: 3 })).toBe(true);
    const changed = (at: number, values: number[]) => {
      const copy = bytes.slice();
      copy.set(values, at);
      return copy;
    };
    expect(refused(changed(0, [0x50]))).toBe(true);
    expect(refused(changed(20, [0, 0, 0xc0, 0x7f]))).toBe(true);
    expect(refused(changed(20, [0, 0, 0x80, 0xff]))).toBe(true);
    // A header that asks for 64 GB must not be believed.
    expect(refused(changed(4, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))).toBe(true);
    expect(refused(changed(4, [0, 0, 0, 0]))).toBe(true);
  });

  it('that are random never crash the decoder', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(refused(bytes)).toBe(true);
      }),
    );
  });
});
