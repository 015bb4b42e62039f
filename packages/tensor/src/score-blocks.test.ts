import type { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { blockRows, chunkItems, freeGpuBytes, gpuLimits } from './score-blocks.js';

const answering = (status: number, stdout: string) =>
  (() => ({ status, stdout })) as unknown as typeof spawnSync;

describe('blocks and chunks of scores', () => {
  it('are sized by a GPU’s free memory: a quarter of it, and never more rows than asked for', () => {
    const small = gpuLimits(8e9);
    const large = gpuLimits(80e9);
    for (const [limits, bytes] of [
      [small, 8e9],
      [large, 80e9],
    ] as const) {
      for (const items of [1_000, 12_102, 1_000_001]) {
        const chunk = chunkItems(items, 8, limits);
        const scores = blockRows(chunk, limits) * chunk * (8 + 3);
        expect(4 * scores).toBeLessThanOrEqual(0.26 * bytes);
      }
    }
    expect(blockRows(12_102, large)).toBeGreaterThan(blockRows(12_102, small));
    expect(blockRows(10, large)).toBeLessThanOrEqual(8_200);
  });

  it('know the free memory from the driver’s answer, and do without one', () => {
    expect(freeGpuBytes(answering(0, '40000\n12\n'))).toBe(40_000 * 2 ** 20);
    expect(freeGpuBytes(answering(9, ''))).toBeNull();
    expect(freeGpuBytes(answering(0, '[N/A]'))).toBeNull();
  });
});
