import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hnswSettings } from './hnsw-settings.js';
import { float32Bytes, float32FromBytes, parseVector, vectorText } from './vectors.js';

describe('vectors', () => {
  it('survive pgvector’s text form bit by bit', () => {
    fc.assert(
      fc.property(fc.float32Array({ noNaN: true, noDefaultInfinity: true }), (vector) => {
        // pgvector has no negative zero; comparing by value is what scores see.
        const plain = vector.map((x) => (x === 0 ? 0 : x));
        expect(parseVector(vectorText(plain))).toEqual(plain);
      }),
    );
  });

  it('survive bytes bit by bit, also as views into larger buffers', () => {
    const vector = Float32Array.of(9, 1.5, -0, 3).subarray(1, 3);
    const bytes = float32Bytes(vector);
    expect(bytes.byteLength).toBe(8);
    expect(float32FromBytes(bytes)).toEqual(vector);
    expect(() => float32FromBytes(new Uint8Array(3))).toThrow(/multiple of 4/);
  });
});

describe('settings of vector searches', () => {
  it('are numbers in range, so nothing else gets into the statement', () => {
    expect(hnswSettings()).toMatch(/ef_search = 100;.*strict_order.*max_scan_tuples = 20000;/);
    for (const efSearch of [0, 1_001, 1.5, Number.NaN, '1; DROP' as unknown as number]) {
      expect(() => hnswSettings({ efSearch })).toThrow(/ef_search: got/);
    }
    expect(() => hnswSettings({ maxScanTuples: 0 })).toThrow(/max_scan_tuples: got 0/);
  });
});
