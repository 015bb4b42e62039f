import { describe, expect, it } from 'vitest';
import { createProgress } from './progress.js';

const at = (partition: number, offset: bigint) => ({ partition, offset });

describe('progress', () => {
  it('answers at once for what is applied, and for nothing at all', async () => {
    const progress = createProgress();
    progress.advance(0, 5n);
    expect(await progress.waitFor([at(0, 4n)], 0)).toBe(true);
    expect(await progress.waitFor([], 0)).toBe(true);
    expect(await progress.waitFor([at(0, 5n)], 0)).toBe(false);
    expect(await progress.waitFor([at(1, 0n)], 0)).toBe(false);
  });

  it('wakes a waiter when the last of its positions is applied, not before', async () => {
    const progress = createProgress();
    let settled: boolean | null = null;
    const waiting = progress.waitFor([at(0, 2n), at(1, 7n)], 60_000).then((reached) => {
      settled = reached;
    });
    progress.advance(0, 3n);
    progress.advance(1, 7n);
    await Promise.resolve();
    expect(settled).toBeNull();
    progress.advance(1, 8n);
    await waiting;
    expect(settled).toBe(true);
  });

  it('never goes back', () => {
    const progress = createProgress();
    progress.advance(0, 9n);
    progress.advance(0, 3n);
    expect(progress.appliedUpTo().get(0)).toBe(9n);
  });

  it('says no when the time is over, and to everybody when it closes', async () => {
    const progress = createProgress();
    expect(await progress.waitFor([at(0, 0n)], 5)).toBe(false);
    const waiting = progress.waitFor([at(0, 0n)], 60_000);
    progress.close();
    expect(await waiting).toBe(false);
    expect(await progress.waitFor([at(0, 0n)], 60_000)).toBe(false);
  });
});
