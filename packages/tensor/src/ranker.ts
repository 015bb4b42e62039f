/**
 * Ranks of target items at every nested size in one pass, from running sums (model.md 5, part 5): a rank is
 * a count, never a sort. Tie rule, the same as in @nestrec/evaluation: the target stands behind every item
 * of equal score, and a score that is not a number counts as larger; so the rank is the number of items
 * whose score is not smaller than the target's, itself included.
 *
 * Knows queries and item vectors only. Targets and seen items are internal ids 1..N; row i of the item
 * vectors is item i + 1. Scores are counted on the host: comparing with a broadcast column costs 60 ns a
 * score on wasm, reading and counting them 2.
 */
import { activeNative } from './native/native-backend.js';
import { nativeRanks } from './native/native-tables.js';
import { createSizeScores, SCORES_AT_ONCE } from './size-scores.js';

export interface RankCases {
  /** Query vectors, cases x D, row-major. */
  readonly queries: Float32Array;
  /** Internal id of each case's target. */
  readonly targets: Int32Array;
  /** Distinct items of the case's history without its target, ragged: these can be masked. */
  readonly seenOffsets: Int32Array;
  readonly seen: Int32Array;
}

/** Ranks per size, smallest first: among the whole catalogue, and with seen items left out. */
export interface SizeRanks {
  readonly all: readonly Int32Array[];
  readonly masked: readonly Int32Array[];
}

/** One scorer's item side, kept on the backend. */
export interface Ranker {
  rank(cases: RankCases): SizeRanks;
  dispose(): void;
}

/**
 * @param itemVectors N x D, row-major.
 * @param sizes nested sizes, the last is D.
 */
export function createRanker(itemVectors: Float32Array, sizes: readonly number[]): Ranker {
  const native = activeNative();
  if (native === null) return composedRanker(itemVectors, sizes);
  return { rank: (cases) => nativeRanks(native, itemVectors, sizes, cases), dispose() {} };
}

function composedRanker(itemVectors: Float32Array, sizes: readonly number[]): Ranker {
  const width = sizes.at(-1)!;
  const numItems = itemVectors.length / width;
  const scores = createSizeScores(itemVectors, sizes);
  const atOnce = Math.max(1, Math.floor(SCORES_AT_ONCE / numItems));
  return {
    rank(cases) {
      const count = cases.targets.length;
      const all = sizes.map(() => new Int32Array(count));
      const masked = sizes.map(() => new Int32Array(count));
      for (let from = 0; from < count; from += atOnce) {
        const to = Math.min(count, from + atOnce);
        scores.of(cases.queries.subarray(from * width, to * width), (k, found) =>
          countBefore(cases, from, to, found, all[k]!, masked[k]!),
        );
      }
      return { all, masked };
    },
    dispose: () => scores.dispose(),
  };
}

/** Ranks of cases from .. to - 1 at one size. */
function countBefore(
  cases: RankCases,
  from: number,
  to: number,
  scores: Float32Array,
  all: Int32Array,
  masked: Int32Array,
): void {
  const numItems = scores.length / (to - from);
  for (let c = from; c < to; c++) {
    const row = scores.subarray((c - from) * numItems, (c - from + 1) * numItems);
    const target = row[cases.targets[c]! - 1]!;
    let rank = 0;
    for (let i = 0; i < numItems; i++) if (!(row[i]! < target)) rank++;
    let seenBefore = 0;
    for (let s = cases.seenOffsets[c]!; s < cases.seenOffsets[c + 1]!; s++) {
      if (!(row[cases.seen[s]! - 1]! < target)) seenBefore++;
    }
    all[c] = rank;
    masked[c] = rank - seenBefore;
  }
}
