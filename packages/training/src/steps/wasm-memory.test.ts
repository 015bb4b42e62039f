import { Histories } from '@nestrec/dataset';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { modelConfigSchema, type ModelConfig } from '@nestrec/contracts';
import { InsufficientMemory, isError, type NestrecError } from '@nestrec/errors';
import { createSettings } from '../settings.js';
import { labelsPerStep } from './plan-steps.js';
import { estimateHeapBytes, fitItemChunk, mostItems } from './wasm-memory.js';

const config = (numItems: number, width: number, rest: Partial<ModelConfig> = {}): ModelConfig =>
  modelConfigSchema.parse({
    ...{ sizes: [width / 4, width / 2, width], blocks: 1, featureWidth: 32, numItems },
    ...{ itemResidual: true, scoreScale: true },
    ...rest,
  });

/** The most of the heap that a few steps took, in a process of their own: a heap never shrinks. */
function measuredHeapBytes(model: ModelConfig, users: number): { bytes: number; labels: number } {
  const child = fileURLToPath(new URL('../../../../tests/helpers/heap-child.ts', import.meta.url));
  const result = spawnSync(
    process.execPath,
    [
      '--conditions=@nestrec/source',
      ...['--import', 'tsx', child, JSON.stringify({ config: model, users })],
    ],
    { encoding: 'utf8' },
  );
  expect(result.status, result.stderr).toBe(0);
  return JSON.parse(result.stdout) as { bytes: number; labels: number };
}

function refusalOf(work: () => unknown): NestrecError {
  try {
    work();
  } catch (error) {
    if (isError(error, InsufficientMemory)) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

describe('estimateHeapBytes', () => {
  it.each([
    ['many items', config(60_000, 64), 4],
    ['wide features', config(12_000, 64, { featureWidth: 768 }), 4],
    ['no residual', config(40_000, 128, { itemResidual: false }), 4],
    ['wide blocks', config(2_000, 512, { blocks: 2 }), 32],
  ])('is within a factor of 1.5 of the real heap: %s', (_, model, users) => {
    const { bytes, labels } = measuredHeapBytes(model, users);
    const ratio = estimateHeapBytes({ config: model, labels, replicas: 1, itemChunk: 0 }) / bytes;
    expect(ratio).toBeGreaterThan(1 / 1.5);
    expect(ratio).toBeLessThan(1.5);
  });
});

describe('fitItemChunk', () => {
  const shape = { labels: 900, replicas: 1, itemChunk: 0 };

  it('leaves the chunk as it is wherever the step fits, Beauty at 1,024 dimensions included', () => {
    expect(fitItemChunk({ ...shape, config: config(12_101, 1_024) })).toBe(0);
    expect(fitItemChunk({ ...shape, config: config(12_101, 64), itemChunk: 500 })).toBe(500);
  });

  it('agrees with the most items that are said to fit', () => {
    const model = config(1, 128, { featureWidth: 384 });
    const most = mostItems({ ...shape, config: model });
    const fit = (numItems: number) => fitItemChunk({ ...shape, config: { ...model, numItems } });
    expect(fit(most)).toBeGreaterThanOrEqual(0);
    expect(refusalOf(() => fit(most + 2_000)).message).toContain('4 GiB');
  });

  it('cuts the items where only that makes the step fit, and more replicas take more items', () => {
    const sizes = [64, 128, 192];
    const full = { ...shape, config: config(1, 192, { sizes }) };
    const most = (replicas: number, chunked: boolean) => {
      let numItems = 0;
      for (let next = 100_000; next < 1_000_000; next += 1_000) {
        try {
          const chunk = fitItemChunk({
            ...full,
            replicas,
            config: { ...full.config, numItems: next },
          });
          if (chunk === 0 || chunked) numItems = next;
        } catch {
          break;
        }
      }
      return numItems;
    };
    expect(most(1, true)).toBeGreaterThan(most(1, false));
    expect(most(2, true)).toBeGreaterThan(1.1 * most(1, true));
  });

  it('refuses what does not fit: what was got, what was wanted, what to do', () => {
    const error = refusalOf(() => fitItemChunk({ ...shape, config: config(1_000_000, 256) }));
    expect(error.message).toMatch(
      /1000000 items x 256 dimensions with 32 features and 900 labels.*about 1\d\.\d GiB on backend wasm; wanted at most 3\.6.*4 GiB.*setup:tensorflow.*sampled softmax/,
    );
    expect(error.traits.exitCode).toBe(78);
  });
});

describe('labelsPerStep', () => {
  it('counts the labels of a mean batch, windows cut as the batches are', () => {
    const rows = { offsets: Int32Array.of(0, 5, 5, 7), items: new Int32Array(7).fill(1) };
    const train = Histories.of(rows);
    const settings = (windows: 'all' | 'last', usersPerBatch: number) =>
      createSettings('quality', [4], { windows, usersPerBatch, maxLength: 3 });
    // Windows of 3, 2 and 2 events; the newest alone: 3 and 2.
    expect(labelsPerStep(train, settings('all', 2))).toBeCloseTo((7 / 3) * 2, 12);
    expect(labelsPerStep(train, settings('last', 9))).toBe(5);
  });
});
