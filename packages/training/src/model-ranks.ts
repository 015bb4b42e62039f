/**
 * Ranks of evaluation cases under a model whose parameters are on the backend: the query vector of a case
 * is the state after its newest events, the items are all rows of the table.
 */
import { historiesOf, packHistories, type EvaluationCases, type Ragged } from '@nestrec/dataset';
import type { ItemTable, Model, Parameters } from '@nestrec/model';
import { createRanker, type SizeRanks } from '@nestrec/tensor';
import type { SeenItems } from './seen-items.js';

/** What ranking needs of a model. */
export type ScoringModel = Pick<Model, 'config' | 'itemTable' | 'lastStates'>;

/** Histories packed at once: bounds the activations of a forward pass. */
const HISTORIES_AT_ONCE = 1_024;

/**
 * Query vectors, histories x D, and the item vectors that they were made with, N x D.
 * @param blocks the first so many of the model's; default: all
 */
export function queriesOf(
  model: ScoringModel,
  parameters: Parameters,
  histories: Ragged,
  maxLength: number,
  blocks?: number,
): { queries: Float32Array; items: Float32Array } {
  const width = model.config.sizes.at(-1)!;
  const count = histories.offsets.length - 1;
  const queries = new Float32Array(count * width);
  const table = model.itemTable(parameters);
  try {
    for (let from = 0; from < count; from += HISTORIES_AT_ONCE) {
      const to = Math.min(count, from + HISTORIES_AT_ONCE);
      const packed = packHistories(histories, { maxLength, from, to });
      queries.set(model.lastStates(parameters, table, packed, blocks), from * width);
    }
    return { queries, items: rowsOf(table, width) };
  } finally {
    table.dispose();
  }
}

/** Item vectors, N x D. */
export function itemVectorsOf(model: ScoringModel, parameters: Parameters): Float32Array {
  const table = model.itemTable(parameters);
  try {
    return rowsOf(table, model.config.sizes.at(-1)!);
  } finally {
    table.dispose();
  }
}

/** Row 0 of the table is the padding row, which is never recommended. */
const rowsOf = (table: ItemTable, width: number) =>
  (table.rows.dataSync() as Float32Array).slice(width);

/** Ranks per size, among the whole catalogue and with seen items left out; `blocks` as above. */
export function rankWithModel(
  model: ScoringModel,
  parameters: Parameters,
  cases: EvaluationCases,
  seen: SeenItems,
  maxLength: number,
  blocks?: number,
): SizeRanks {
  const { queries, items } = queriesOf(model, parameters, historiesOf(cases), maxLength, blocks);
  const ranker = createRanker(items, model.config.sizes);
  try {
    return ranker.rank({
      queries,
      targets: cases.target,
      seenOffsets: seen.offsets,
      seen: seen.items,
    });
  } finally {
    ranker.dispose();
  }
}
