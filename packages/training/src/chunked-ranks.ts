/**
 * Ranks of evaluation cases where item vectors of the whole catalogue do not fit memory: they are computed a chunk at a
 * time. A rank is a count of items, so counts over chunks add up.
 *
 * The vectors of the cases' targets stand below each chunk, so that a target is compared by the product that scores the
 * chunk's items; what they add to the counts is counted once by itself and taken off.
 */
import { historiesOf, packHistories, type EvaluationCases, type Ragged } from '@nestrec/dataset';
import type { Parameters, SampledModel } from '@nestrec/model';
import { createRanker, type RankCases, type SizeRanks } from '@nestrec/tensor';
import type { SeenItems } from './seen-items.js';

export const ITEMS_AT_ONCE = 65_536;
const CASES_AT_ONCE = 4_096;
/** Histories packed at once: bounds the activations of a forward pass. */
const HISTORIES_AT_ONCE = 1_024;

/** Items first + 1 .. first + count, and their vectors with room below them for those of targets. */
interface Chunk {
  readonly first: number;
  readonly count: number;
  readonly vectors: Float32Array;
}

/** Cases from .. to - 1 and the distinct items that they ask for. */
interface CaseBlock {
  readonly from: number;
  readonly to: number;
  readonly queries: Float32Array;
  readonly targets: Int32Array;
  readonly targetVectors: Float32Array;
  /** Position of each case's target in `targets`. */
  readonly targetAt: Int32Array;
  /** Ranks among the targets alone. */
  readonly own: readonly Int32Array[];
}

/** How queries are made of histories. */
export interface QueryOptions {
  /** Newest events of a history that the model is shown. */
  readonly maxLength: number;
  /** Blocks that a query goes through; default: all. */
  readonly blocks?: number | undefined;
}

/** Ranks per size, among the whole catalogue and with seen items left out. */
export function rankInChunks(
  model: SampledModel,
  parameters: Parameters,
  cases: EvaluationCases,
  seen: SeenItems,
  options: QueryOptions,
  itemsAtOnce = ITEMS_AT_ONCE,
): SizeRanks {
  const { sizes, numItems } = model.config;
  const count = cases.target.length;
  const all = sizes.map(() => new Int32Array(count));
  const masked = sizes.map(() => new Int32Array(count));
  const blocks: CaseBlock[] = [];
  for (let from = 0; from < count; from += CASES_AT_ONCE) {
    const to = Math.min(count, from + CASES_AT_ONCE);
    blocks.push(caseBlock(model, parameters, cases, { from, to }, options));
  }
  const width = sizes.at(-1)!;
  const most = Math.max(0, ...blocks.map(({ targets }) => targets.length));
  const room = new Float32Array((Math.min(itemsAtOnce, numItems) + most) * width);
  for (let first = 0; first < numItems; first += itemsAtOnce) {
    const items = Int32Array.from(
      { length: Math.min(itemsAtOnce, numItems - first) },
      (_, i) => first + i + 1,
    );
    room.set(model.itemVectors(parameters, items));
    const chunk: Chunk = { first, count: items.length, vectors: room };
    for (const block of blocks) addCounts(chunk, block, seen, sizes, { all, masked });
  }
  return { all, masked };
}

function caseBlock(
  model: SampledModel,
  parameters: Parameters,
  cases: EvaluationCases,
  { from, to }: { from: number; to: number },
  options: QueryOptions,
): CaseBlock {
  const { sizes } = model.config;
  const asked = cases.target.subarray(from, to);
  const targets = Int32Array.from(new Set(asked)).sort();
  const position = new Map(Array.from(targets, (item, i) => [item, i]));
  const targetAt = asked.map((item) => position.get(item)!);
  const targetVectors = model.itemVectors(parameters, targets);
  const histories = historiesOf(cases);
  const queries = queriesInChunks(model, parameters, histories, options, { from, to });
  const none = { seenOffsets: new Int32Array(to - from + 1), seen: new Int32Array(0) };
  const own = ranksOf(targetVectors, sizes, { queries, targets: oneBased(targetAt), ...none });
  return { from, to, queries, targets, targetVectors, targetAt, own: own.all };
}

/** Query vectors of histories from .. to - 1 (default: of all). */
export function queriesInChunks(
  model: SampledModel,
  parameters: Parameters,
  histories: Ragged,
  { maxLength, blocks }: QueryOptions,
  range: { readonly from: number; readonly to: number } = {
    from: 0,
    to: histories.offsets.length - 1,
  },
): Float32Array {
  const width = model.config.sizes.at(-1)!;
  const queries = new Float32Array((range.to - range.from) * width);
  for (let from = range.from; from < range.to; from += HISTORIES_AT_ONCE) {
    const to = Math.min(range.to, from + HISTORIES_AT_ONCE);
    const packed = packHistories(histories, { maxLength, from, to });
    queries.set(model.lastStates(parameters, packed, blocks), (from - range.from) * width);
  }
  return queries;
}

/** Hands over the vectors of items `first`, `first + 1`, ... a chunk at a time. */
export function overItemChunks(
  model: SampledModel,
  parameters: Parameters,
  itemsAtOnce: number,
  use: (vectors: Float32Array, first: number) => void,
): void {
  const { numItems } = model.config;
  for (let first = 1; first <= numItems; first += itemsAtOnce) {
    const count = Math.min(itemsAtOnce, numItems - first + 1);
    const items = Int32Array.from({ length: count }, (_, i) => first + i);
    use(model.itemVectors(parameters, items), first);
  }
}

const oneBased = (positions: Int32Array) => positions.map((at) => at + 1);

function ranksOf(vectors: Float32Array, sizes: readonly number[], cases: RankCases): SizeRanks {
  const ranker = createRanker(vectors, sizes);
  try {
    return ranker.rank(cases);
  } finally {
    ranker.dispose();
  }
}

/** Adds the chunk's share to the ranks of the block's cases. */
function addCounts(
  { first, count, vectors }: Chunk,
  block: CaseBlock,
  seen: SeenItems,
  sizes: readonly number[],
  ranks: SizeRanks,
): void {
  const width = sizes.at(-1)!;
  const { from, to, queries, targets, targetVectors, targetAt, own } = block;
  vectors.set(targetVectors, count * width);
  const seenOffsets = new Int32Array(to - from + 1);
  const inChunk: number[] = [];
  for (let c = from; c < to; c++) {
    for (let s = seen.offsets[c]!; s < seen.offsets[c + 1]!; s++) {
      const item = seen.items[s]! - first;
      if (item > 0 && item <= count) inChunk.push(item);
    }
    seenOffsets[c - from + 1] = inChunk.length;
  }
  const counted = ranksOf(vectors.subarray(0, (count + targets.length) * width), sizes, {
    ...{ queries, seenOffsets, seen: Int32Array.from(inChunk) },
    targets: targetAt.map((at) => count + at + 1),
  });
  sizes.forEach((_, k) => {
    for (let c = 0; c < to - from; c++) {
      const share = own[k]![c]!;
      ranks.all[k]![from + c]! += counted.all[k]![c]! - share;
      ranks.masked[k]![from + c]! += counted.masked[k]![c]! - share;
    }
  });
}
