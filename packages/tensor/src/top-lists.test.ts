import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { createRandom } from '@nestrec/random';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import { createTopLists, selectBackend } from './index.js';

describe.each(suiteBackends)('lists on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it('hold the unseen items of the highest scores at every size, however the items come', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 0, max: 8 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer(),
        (items, count, chunk, seed) => {
          const random = createRandom(seed);
          const [sizes, width, length] = [[1, 3, 4], 4, 5];
          // Small integers, so that ties are common and sums are exact.
          const integers = (n: number) => Float32Array.from({ length: n }, () => random.int(5) - 2);
          const [vectors, queries] = [integers(items * width), integers(count * width)];
          const ids = Array.from({ length: items }, (_, i) => i + 1);
          const seenOf = Array.from({ length: count }, () =>
            ids.filter(() => random.uniform() < 0.3),
          );
          const seenOffsets = new Int32Array(count + 1);
          seenOf.forEach((seen, c) => (seenOffsets[c + 1] = seenOffsets[c]! + seen.length));
          const tensors = tf.memory().numTensors;
          const seen = Int32Array.from(seenOf.flat());
          const lists = createTopLists({ queries, seenOffsets, seen }, sizes, length);
          for (let first = 0; first < items; first += chunk)
            lists.add(vectors.subarray(first * width, (first + chunk) * width), first + 1);
          expect(tf.memory().numTensors).toBe(tensors);
          sizes.forEach((m, k) => {
            for (let c = 0; c < count; c++) {
              const score = (item: number) =>
                Array.from(
                  { length: m },
                  (_, d) => queries[c * width + d]! * vectors[(item - 1) * width + d]!,
                ).reduce((a, b) => a + b);
              const wanted = ids
                .filter((item) => !seenOf[c]!.includes(item))
                .sort((a, b) => score(b) - score(a) || a - b);
              expect([...lists.bySize[k]!.subarray(c * length, (c + 1) * length)]).toEqual(
                Array.from({ length }, (_, i) => wanted[i] ?? 0),
              );
            }
          });
        },
      ),
      { numRuns: 20 },
    );
  });

  it('leave out what has no finite score', () => {
    const lists = createTopLists(
      { queries: Float32Array.of(1), seenOffsets: Int32Array.of(0, 0), seen: new Int32Array(0) },
      [1],
      4,
    );
    lists.add(Float32Array.of(NaN, 2, Infinity, -Infinity, 5), 1);
    expect([...lists.bySize[0]!]).toEqual([5, 2, 0, 0]);
  });
});
