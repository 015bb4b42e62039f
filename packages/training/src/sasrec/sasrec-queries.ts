/** Query vectors of histories under a SASRec whose parameters are on the backend. */
import { packHistories, type Ragged } from '@nestrec/dataset';
import type { Parameters, Sasrec } from '@nestrec/model';

/** Histories packed at once: bounds the activations of a forward pass. */
const HISTORIES_AT_ONCE = 1_024;

/** Histories x d, of the newest `maxLength` items of each. */
export function sasrecQueries(
  network: Sasrec,
  parameters: Parameters,
  histories: Ragged,
): Float32Array {
  const { width, maxLength } = network.config;
  const begun = withBeginnings(histories);
  const count = histories.offsets.length - 1;
  const queries = new Float32Array(count * width);
  for (let from = 0; from < count; from += HISTORIES_AT_ONCE) {
    const to = Math.min(count, from + HISTORIES_AT_ONCE);
    const packed = packHistories(begun, { maxLength, from, to });
    queries.set(network.lastStates(parameters, packed), from * width);
  }
  return queries;
}

/** Every history after the 0 that training windows begin with; where a history is cut to its newest, it goes first. */
function withBeginnings({ offsets, items }: Ragged): Ragged {
  const rows = offsets.length - 1;
  const begun = new Int32Array(items.length + rows);
  const moved = offsets.map((at, row) => at + row);
  for (let row = 0; row < rows; row++)
    begun.set(items.subarray(offsets[row]!, offsets[row + 1]!), moved[row]! + 1);
  return { offsets: moved, items: begun };
}
