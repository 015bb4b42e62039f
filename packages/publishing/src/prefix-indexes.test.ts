import { describe, expect, it } from 'vitest';
import { embeddingBatch } from './item-embedder.js';
import { indexedDims } from './prefix-indexes.js';

describe('indexedDims', () => {
  it('gives each tier the greatest size within its limit, once', () => {
    const sizes = [8, 16, 32, 64, 128];
    expect(indexedDims(sizes, [16, 64, null])).toEqual([16, 64, 128]);
    expect(indexedDims(sizes, [100, 70, 20, 16])).toEqual([16, 64]);
    expect(indexedDims(sizes, [])).toEqual([]);
  });

  it('leaves out a tier that is below every size, and sizes beyond the limit of HNSW', () => {
    expect(indexedDims([8, 16], [4])).toEqual([]);
    expect(indexedDims([1_024, 2_000, 4_096], [null, 2_000])).toEqual([2_000]);
  });
});

describe('embeddingBatch', () => {
  it('is smaller the more an item costs, and never none', () => {
    expect(embeddingBatch(0, 64)).toBe(1_000);
    expect(embeddingBatch(384, 1_024)).toBe(50);
    expect(embeddingBatch(8_192, 4_096)).toBe(16);
  });
});
