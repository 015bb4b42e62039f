/** The likeness of items for those that are not learned: each modality's metric is fitted to the items that have it. */
import type { FeatureSpec } from '@nestrec/contracts';
import { featureBlocks, type Likeness } from '@nestrec/features';
import { multiply, multiplyTransposed } from '@nestrec/tensor';
import { fitWhitening } from '../whitening.js';

/** Rows whose lengths are found at once. */
const PANEL_ROWS = 2 ** 15;

/**
 * @param features N x F, row-major
 * @param rowWidth F
 */
export function fitLikeness(features: Float32Array, rowWidth: number, spec: FeatureSpec): Likeness {
  const blocks = featureBlocks(spec);
  const metric = new Float32Array(rowWidth * rowWidth);
  const scales = new Float32Array((features.length / rowWidth) * blocks.length);
  blocks.forEach(({ from, width }, m) => {
    const { rows, values } = presentRows(features, rowWidth, from, width);
    if (rows.length === 0) return;
    // W of whitening: W^T W is the inverse of the second moment, up to a factor that cosines do not see.
    const { matrix } = fitWhitening(values, width, 0);
    const product = multiplyTransposed(matrix, matrix, [width, width, width]);
    for (let i = 0; i < width; i++) {
      metric.set(product.subarray(i * width, (i + 1) * width), (from + i) * rowWidth + from);
    }
    for (let at = 0; at < rows.length; at += PANEL_ROWS) {
      const count = Math.min(PANEL_ROWS, rows.length - at);
      const panel = values.subarray(at * width, (at + count) * width);
      const turned = multiply(panel, product, [count, width, width]);
      for (let r = 0; r < count; r++) {
        let squares = 0;
        for (let i = r * width; i < (r + 1) * width; i++) squares += panel[i]! * turned[i]!;
        scales[rows[at + r]! * blocks.length + m] = squares > 0 ? 1 / Math.sqrt(squares) : 0;
      }
    }
  });
  return { metric, scales };
}

/** A modality's columns of the rows that have it. */
function presentRows(features: Float32Array, rowWidth: number, from: number, width: number) {
  const count = features.length / rowWidth;
  const rows = Array.from({ length: count }, (_, row) => row).filter((row) =>
    features
      .subarray(row * rowWidth + from, row * rowWidth + from + width)
      .some((value) => value !== 0),
  );
  const values = new Float32Array(rows.length * width);
  rows.forEach((row, at) => {
    const start = row * rowWidth + from;
    values.set(features.subarray(start, start + width), at * width);
  });
  return { rows, values };
}
