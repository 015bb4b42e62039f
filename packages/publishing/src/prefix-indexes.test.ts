import { describe, expect, it } from 'vitest';
import { embeddingBatch } from './item-embedder.js';
import { planOptions } from './plan-options.js';
import { servedSizes } from './prefix-indexes.js';

describe('servedSizes', () => {
  const auto = (...limits: (number | null)[]) =>
    limits.map((max_dim) => ({ max_dim, plan: 'auto' }) as const);

  it('gives each tier the greatest size within its limit, once per plan', () => {
    const sizes = [8, 16, 32, 64, 128];
    const dims = (...limits: (number | null)[]) =>
      servedSizes(sizes, auto(...limits)).map(({ dim }) => dim);
    expect(dims(16, 64, null)).toEqual([16, 64, 128]);
    expect(dims(100, 70, 20, 16)).toEqual([16, 64]);
    expect(dims()).toEqual([]);
    expect(servedSizes(sizes, [...auto(64), { max_dim: 100, plan: 'bound' }])).toEqual([
      { dim: 64, plan: 'auto' },
      { dim: 64, plan: 'bound' },
    ]);
  });

  it('leaves out a tier that is below every size', () => {
    expect(servedSizes([8, 16], auto(4))).toEqual([]);
  });
});

describe('planOptions', () => {
  const sizes = [16, 32, 64, 128, 256, 4_096];
  const plans = (dim: number, plan: Parameters<typeof planOptions>[1]['plan']) =>
    planOptions(sizes, { dim, plan }).map((option) => `${option.plan} ${option.form?.dim ?? ''}`);

  it('serves small sizes by their own index and greater ones by a shortlist of half the size', () => {
    expect(plans(64, 'auto')).toEqual(['prefix 64']);
    expect(plans(256, 'auto')).toEqual(['staged 128', 'prefix 256']);
    expect(plans(256, 'staged')).toEqual(['staged 128']);
    expect(plans(256, 'bound')).toEqual(['bound 128']);
    expect(plans(256, 'prefix')).toEqual(['prefix 256']);
    expect(plans(256, 'exact')).toEqual(['exact ']);
  });

  it('never indexes more coordinates than HNSW takes', () => {
    expect(plans(4_096, 'prefix')).toEqual(['exact ']);
    expect(plans(4_096, 'auto')).toEqual(['staged 256', 'exact ']);
  });

  it('serves the smallest size, which no shortlist can serve, by its own index or exactly', () => {
    expect(plans(16, 'staged')).toEqual(['prefix 16']);
    expect(plans(16, 'bound')).toEqual(['exact ']);
  });
});

describe('embeddingBatch', () => {
  it('is smaller the more an item costs, and never none', () => {
    expect(embeddingBatch(0, 64)).toBe(1_000);
    expect(embeddingBatch(384, 1_024)).toBe(50);
    expect(embeddingBatch(8_192, 4_096)).toBe(16);
  });
});
