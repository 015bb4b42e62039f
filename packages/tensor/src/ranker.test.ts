import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { createRandom } from '@nestrec/random';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import { createRanker, selectBackend } from './index.js';

describe.each(suiteBackends)('ranker on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it('puts the target behind larger and equal scores at every size, with seen items left out or not', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 30 }),
        fc.integer({ min: 0, max: 8 }),
        fc.integer(),
        (items, count, seed) => {
          const random = createRandom(seed);
          const sizes = [1, 3, 4];
          // Small integers, so that ties are common and sums are exact.
          const integers = (n: number) => Float32Array.from({ length: n }, () => random.int(5) - 2);
          const [vectors, queries] = [integers(items * 4), integers(count * 4)];
          const targets = Int32Array.from({ length: count }, () => 1 + random.int(items));
          const seenOf = Array.from(targets, (target) =>
            Array.from({ length: items }, (_, i) => i + 1).filter(
              (item) => item !== target && random.uniform() < 0.3,
            ),
          );
          const seenOffsets = new Int32Array(count + 1);
          seenOf.forEach((seen, c) => (seenOffsets[c + 1] = seenOffsets[c]! + seen.length));
          const tensors = tf.memory().numTensors;
          const ranker = createRanker(vectors, sizes);
          const ranks = ranker.rank({
            queries,
            targets,
            seenOffsets,
            seen: Int32Array.from(seenOf.flat()),
          });
          ranker.dispose();
          expect(tf.memory().numTensors).toBe(tensors);
          sizes.forEach((m, k) => {
            targets.forEach((target, c) => {
              const score = (item: number) =>
                Array.from(
                  { length: m },
                  (_, d) => queries[c * 4 + d]! * vectors[(item - 1) * 4 + d]!,
                ).reduce((a, b) => a + b);
              const before = Array.from({ length: items }, (_, i) => i + 1).filter(
                (item) => item !== target && score(item) >= score(target),
              );
              expect(ranks.all[k]![c]).toBe(1 + before.length);
              const unseen = before.filter((item) => !seenOf[c]!.includes(item));
              expect(ranks.masked[k]![c]).toBe(1 + unseen.length);
            });
          });
        },
      ),
      { numRuns: 20 },
    );
  });

  it('counts the target itself and a twin of it as not smaller, whatever is rounded', () => {
    const random = createRandom(5);
    const [sizes, width, items, count] = [[16, 96], 96, 45, 40];
    const half = Float32Array.from({ length: items * width }, () => random.normal());
    const vectors = new Float32Array([...half, ...half]);
    const queries = Float32Array.from({ length: count * width }, () => random.normal());
    const score = (c: number, item: number) =>
      Array.from(
        { length: width },
        (_, d) => queries[c * width + d]! * vectors[item * width + d]!,
      ).reduce((a, b) => a + b);
    const best = Int32Array.from({ length: count }, (_, c) => {
      const scores = Array.from({ length: items }, (_unused, i) => score(c, i));
      return 1 + scores.indexOf(Math.max(...scores));
    });
    const ranker = createRanker(vectors, sizes);
    const ranks = ranker.rank({
      ...{ queries, targets: best, seenOffsets: new Int32Array(count + 1) },
      seen: new Int32Array(0),
    });
    ranker.dispose();
    expect([...ranks.all[1]!]).toEqual(new Array(count).fill(2));
    expect(Math.min(...ranks.all[0]!)).toBeGreaterThanOrEqual(2);
  });

  it('ranks a target last whose score is not a number', () => {
    const ranker = createRanker(Float32Array.of(1, 2, NaN), [1]);
    const ranks = ranker.rank({
      queries: Float32Array.of(1),
      targets: Int32Array.of(3),
      seenOffsets: Int32Array.of(0, 1),
      seen: Int32Array.of(1),
    });
    ranker.dispose();
    expect([ranks.all[0]![0], ranks.masked[0]![0]]).toEqual([3, 2]);
  });
});
