/**
 * Scorers whose score is the product of a query vector and an item vector, as case scorers: the nested model under
 * each of its sizes, and any single table of item vectors.
 */
import type { ModelExit } from '@nestrec/contracts';
import type { Answers, AskedCases, CaseScorer, Histories, WantedLists } from '@nestrec/evaluation';
import { createRanker, createTopLists, type SizeRanks } from '@nestrec/tensor';
import type { TrainedModel } from './trained-model.js';

interface VectorSide {
  readonly names: readonly { readonly scorer: string; readonly dim: number | null }[];
  /** One per name, ascending; the last is the width of the vectors. */
  readonly sizes: readonly number[];
  rank(asked: AskedCases): SizeRanks;
  /** Query vectors, histories x width. */
  queries(histories: Histories): Float32Array;
  /** Hands over the vectors of items `first`, `first + 1`, ... in ascending chunks. */
  overItems(use: (vectors: Float32Array, first: number) => void): void;
}

/** The model under the names `model@<size>`, or one of its early exits under `exit<blocks>@<size>`. */
export function modelScorer(model: TrainedModel, maxLength: number, exit?: ModelExit): CaseScorer {
  const sizes = model.config.sizes.filter((size) => exit === undefined || size <= exit.dim);
  const name = exit === undefined ? 'model' : `exit${exit.blocks}`;
  return vectorScorer({
    names: sizes.map((dim) => ({ scorer: `${name}@${dim}`, dim })),
    sizes,
    rank: ({ histories, targets, seen }) =>
      model.rank(
        {
          // Which user a case is of is not the model's to know.
          user: new Int32Array(targets.length),
          historyOffsets: histories.offsets,
          history: histories.items,
          target: targets,
        },
        seen,
        maxLength,
        exit?.blocks,
      ),
    queries: (histories) => model.queries(histories, maxLength, exit?.blocks),
    overItems: (use) => model.overItems(use),
  });
}

/** @param table N x width in memory, row r is item r + 1. */
export function tableScorer(
  scorer: string,
  table: Float32Array,
  width: number,
  queries: (histories: Histories) => Float32Array,
): CaseScorer {
  return vectorScorer({
    names: [{ scorer, dim: null }],
    sizes: [width],
    rank: ({ histories, targets, seen }) => {
      const ranker = createRanker(table, [width]);
      try {
        const seenOffsets = seen.offsets;
        return ranker.rank({ queries: queries(histories), targets, seenOffsets, seen: seen.items });
      } finally {
        ranker.dispose();
      }
    },
    queries,
    overItems: (use) => use(table, 1),
  });
}

/** Cosine of item features to the newest item; `table` has rows of length 1. */
export function newestItemScorer(scorer: string, table: Float32Array, width: number): CaseScorer {
  return tableScorer(scorer, table, width, ({ offsets, items }) => {
    const count = offsets.length - 1;
    const queries = new Float32Array(count * width);
    for (let c = 0; c < count; c++) {
      const end = offsets[c + 1]!;
      if (end === offsets[c]) continue;
      const row = (items[end - 1]! - 1) * width;
      queries.set(table.subarray(row, row + width), c * width);
    }
    return queries;
  });
}

function vectorScorer(side: VectorSide): CaseScorer {
  return {
    answer(asked, wanted) {
      const { all, masked } = side.rank(asked);
      const lists = wanted === null ? null : listsOf(side, asked, wanted);
      return side.names.map(({ scorer, dim }, k): Answers => ({
        ...{ scorer, dim, all: all[k]!, masked: masked[k]! },
        lists: lists?.[k] ?? null,
      }));
    },
  };
}

function listsOf(
  side: VectorSide,
  { histories, seen }: AskedCases,
  { of, length }: WantedLists,
): readonly Int32Array[] {
  const left = rowsAt(seen, of);
  const queries = side.queries(rowsAt(histories, of));
  const lists = createTopLists(
    { queries, seenOffsets: left.offsets, seen: left.items },
    side.sizes,
    length,
  );
  side.overItems((vectors, first) => lists.add(vectors, first));
  return lists.bySize;
}

function rowsAt({ offsets, items }: Histories, rows: Int32Array): Histories {
  const chosen = new Int32Array(rows.length + 1);
  rows.forEach((row, i) => (chosen[i + 1] = chosen[i]! + offsets[row + 1]! - offsets[row]!));
  const out = new Int32Array(chosen.at(-1)!);
  rows.forEach((row, i) => out.set(items.subarray(offsets[row]!, offsets[row + 1]!), chosen[i]));
  return { offsets: chosen, items: out };
}
