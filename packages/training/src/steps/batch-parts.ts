/**
 * Cuts a packed batch into parts for replicas: slot s goes to replica s mod W. Slots stand by length, so the
 * parts have almost the same number of rows, and each is a packed batch again.
 */
import type { PackedBatch } from '@nestrec/dataset';
import type { BatchPart, LabelledRows } from '@nestrec/model';

export interface PartOfBatch {
  readonly batch: LabelledRows;
  /** Index in the whole batch of each row. */
  readonly rows: BatchPart['rows'];
  readonly rowsInAll: number;
  /** Its share of the whole batch's labels: what its mean loss counts in the whole one. */
  readonly share: number;
}

export function splitBatch(batch: PackedBatch, parts: number): PartOfBatch[] {
  const labels = countLabels(batch.targets);
  return Array.from({ length: parts }, (_, part) => partOf(batch, part, parts, labels));
}

function partOf(batch: PackedBatch, part: number, parts: number, labels: number): PartOfBatch {
  const slotsOf = (active: number) => Math.max(0, Math.ceil((active - part) / parts));
  const active = batch.active.map(slotsOf).filter((count) => count > 0);
  const start = new Int32Array(active.length);
  const rows: number[] = [];
  active.forEach((count, t) => {
    start[t] = rows.length;
    for (let slot = 0; slot < count; slot++) rows.push(batch.start[t]! + part + slot * parts);
  });
  const targets = Int32Array.from(rows, (row) => batch.targets[row]!);
  return {
    batch: {
      ...{ active, start, rows: rows.length, targets },
      inputs: Int32Array.from(rows, (row) => batch.inputs[row]!),
    },
    rows: Int32Array.from(rows),
    rowsInAll: batch.rows,
    share: labels === 0 ? 0 : countLabels(targets) / labels,
  };
}

function countLabels(targets: Int32Array): number {
  return targets.reduce((count, target) => count + (target === 0 ? 0 : 1), 0);
}
