/**
 * A table too large to be copied or to be wholly moved by a step: it stays in main memory whatever the backend, rows of
 * it are fetched, and AdamW steps rows of it.
 *
 * Rows that a step does not name keep values and moments to the last bit: neither decay nor momentum reaches them
 * (AdamW with lazy moments), while the corrections of the moments' start count all steps of the run.
 */
import * as tf from '@tensorflow/tfjs-core';
import { InternalError } from '@nestrec/errors';
import { activeNative } from './native/native-backend.js';
import { nativeAdamWRows, nativeGatherTable, type AdamWUpdate } from './native/native-tables.js';

export interface RowTable {
  readonly width: number;
  /** rows x width, row-major, as the moments. */
  readonly values: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

/** Rows `rows` of a table of rows x width numbers, after `zeros` rows of zeros. */
export function gatherTableRows(
  table: Float32Array,
  width: number,
  rows: Int32Array,
  zeros = 0,
): tf.Tensor2D {
  const native = activeNative();
  if (native !== null) return nativeGatherTable(native, table, width, rows, zeros);
  requireRows(rows, table.length / width);
  const out = new Float32Array((zeros + rows.length) * width);
  rows.forEach((row, i) =>
    out.set(table.subarray(row * width, (row + 1) * width), (zeros + i) * width),
  );
  return tf.tensor2d(out, [zeros + rows.length, width]);
}

/** @param rows rows that those of the gradient belong to, ascending. */
export function stepTableRows(
  table: RowTable,
  rows: Int32Array,
  gradient: tf.Tensor2D,
  update: AdamWUpdate,
): void {
  const native = activeNative();
  if (native !== null) return nativeAdamWRows(native, table, rows, gradient, update);
  const { width, values, m, v } = table;
  requireRows(rows, values.length / width);
  const { scale, shrink, eps, rate, deviation, factors } = update;
  const [beta1, beta2] = update.betas;
  const numbers = gradient.dataSync() as Float32Array;
  rows.forEach((row, i) => {
    for (let d = 0; d < width; d++) {
      const at = row * width + d;
      const g = numbers[i * width + d]! * scale;
      m[at] = beta1 * m[at]! + (1 - beta1) * g;
      v[at] = beta2 * v[at]! + (1 - beta2) * g * g;
      const factor = factors === null ? 1 : factors.values[factors.along === 'rows' ? row : d]!;
      const change = (rate * factor * m[at]!) / (Math.sqrt(v[at]!) * deviation + eps);
      values[at] = values[at]! * shrink - change;
    }
  });
}

function requireRows(rows: Int32Array, count: number): void {
  const wrong = rows.find((row) => !(row >= 0 && row < count));
  if (wrong === undefined) return;
  throw new InternalError({ detail: `row ${wrong} of a table of ${count} rows.` });
}
