/**
 * What one measurement of a training step works on: a synthetic set shaped like Amazon Beauty, and how much useful work a
 * step of it is.
 */
import { z } from 'zod';
import { modelConfigSchema, type ModelConfig } from '@nestrec/contracts';
import { createRandom } from '@nestrec/random';
import type { Sequence } from '../../helpers/small-model.js';

export const workloadSchema = z.strictObject({
  backend: z.string(),
  /** fused: the product. naive-arithmetic: its kernels, the reference's amount of work. tape: TensorFlow.js' own gradients. */
  computation: z.enum(['fused', 'naive-arithmetic', 'tape']),
  sizes: z.array(z.number().int().positive()).min(1),
  items: z.number().int().positive(),
  users: z.number().int().positive(),
  features: z.number().int().positive(),
  blocks: z.number().int().positive(),
  /** Longest history, in events: what the naive computations pad to. */
  length: z.number().int().positive(),
  /** Mean labels a user. */
  labels: z.number().positive(),
  steps: z.number().int().positive(),
});
export type Workload = z.infer<typeof workloadSchema>;

export interface Measurement {
  readonly workload: Workload;
  readonly labels: number;
  /** Wall time: median and fastest of the steps. */
  readonly stepMs: number;
  readonly fastestMs: number;
  readonly usersPerSecond: number;
  /** Useful work by the fastest step; null for what is not useful. */
  readonly usefulGflops: number;
  readonly peakMegabytes: number;
  readonly loss: number;
}

export function configOf(workload: Workload): ModelConfig {
  return modelConfigSchema.parse({
    ...{ sizes: workload.sizes, blocks: workload.blocks },
    ...{ featureWidth: workload.features, numItems: workload.items },
  });
}

/** Histories with geometric lengths, longest first, each beginning with the empty history. */
export function histories({ users, items, labels, length: longest }: Workload): Sequence[] {
  const random = createRandom(1);
  const lengths = Array.from({ length: users }, () =>
    Math.min(longest, 1 + Math.floor(-Math.log(1 - random.uniform()) * (labels - 0.5))),
  );
  return lengths
    .sort((a, b) => b - a)
    .map((length) => {
      const targets = Array.from({ length }, () => 1 + random.int(items));
      return { inputs: [0, ...targets.slice(0, -1)], targets };
    });
}

/**
 * Useful operations of one step, multiply-adds counted as 2: projector 4 (N + 1) F D, blocks 42 K n nz, logits 6 n N D
 * (model.md, section 5). Padding, recomputation and repeated projections do not count.
 */
export function usefulFlop({ sizes, items, features, blocks }: Workload, labels: number): number {
  const width = sizes.at(-1)!;
  const nonZero = sizes.reduce((sum, end, i) => sum + (end - (sizes[i - 1] ?? 0)) * end, 0);
  return (
    4 * (items + 1) * features * width + 42 * blocks * labels * nonZero + 6 * labels * items * width
  );
}
