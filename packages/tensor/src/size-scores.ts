/**
 * Scores of queries over items at every nested size, each size's from the last one's by a running sum; read on the
 * host. Knows neither what they are counted nor what they are sorted for.
 */
import * as tf from '@tensorflow/tfjs-core';
import { segmentsOf } from '@nestrec/parameters';

/** Scores that callers should ask for at once: 16 MB, which fits a last-level cache. */
export const SCORES_AT_ONCE = 4_000_000;

/** One set of items, kept on the backend. */
export interface SizeScores {
  /** Hands each size's scores (queries x items) to `use`, smallest size first. They are `use`'s to read only. */
  of(queries: Float32Array, use: (size: number, scores: Float32Array) => void): void;
  dispose(): void;
}

/**
 * @param itemVectors items x D, row-major.
 * @param sizes nested sizes, the last is D.
 */
export function createSizeScores(itemVectors: Float32Array, sizes: readonly number[]): SizeScores {
  const width = sizes.at(-1)!;
  const numItems = itemVectors.length / width;
  const segments = segmentsOf(sizes);
  const columns = tf.tidy(() => {
    const table = tf.tensor2d(itemVectors, [numItems, width]);
    return segments.map(
      (s) => tf.transpose(tf.slice(table, [0, s.begin], [numItems, s.width])) as tf.Tensor2D,
    );
  });
  return {
    of(queries, use) {
      tf.tidy(() => {
        const block = tf.tensor2d(queries, [queries.length / width, width]);
        let scores: tf.Tensor | null = null;
        segments.forEach(({ begin, width: segmentWidth }, k) => {
          const part = tf.matMul(
            tf.slice(block, [0, begin], [block.shape[0], segmentWidth]),
            columns[k]!,
          );
          const next: tf.Tensor = scores === null ? part : tf.add(scores, part);
          if (scores !== null) tf.dispose([scores, part]);
          scores = next;
          use(k, next.dataSync() as Float32Array);
        });
      });
    },
    dispose: () => tf.dispose(columns),
  };
}
