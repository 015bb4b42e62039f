/**
 * The layout of ragged sequences without padding: rows in time-major order, sequences sorted by length,
 * longest first, so that the sequences still running at step t are a prefix and h_t needs only contiguous rows.
 *
 * Knows nothing about items or models; @nestrec/dataset makes batches of this layout.
 */

export interface PackedRows {
  /** How many sequences still run at step t. */
  readonly active: Int32Array;
  /** First row of step t; the row of sequence s at step t is `start[t] + s`. */
  readonly start: Int32Array;
  readonly rows: number;
}

/** Lays out sequences of `lengths`, which must not increase. */
export function layOutRows(lengths: ArrayLike<number>): PackedRows {
  const steps = lengths.length === 0 ? 0 : lengths[0]!;
  const active = new Int32Array(steps);
  const start = new Int32Array(steps);
  let running = lengths.length;
  let rows = 0;
  for (let t = 0; t < steps; t++) {
    while (running > 0 && lengths[running - 1]! <= t) running--;
    active[t] = running;
    start[t] = rows;
    rows += running;
  }
  return { active, start, rows };
}
