/**
 * What every scorer is asked, and what is kept of its answers: the rank of each case's target, and the lists
 * of some cases. Breakdowns, intervals and comparisons are all computed from these same answers.
 */
import { rankOfTarget } from './ranking.js';
import { scoreInTurn } from './score-in-turn.js';
import { topOf } from './top-of.js';
import type { Histories, Scorer } from './types.js';

/** Questions, row by row: given the history, where does the target stand? */
export interface AskedCases {
  readonly histories: Histories;
  readonly targets: Int32Array;
  /** Distinct items of each history without the target: what may be left out of a ranking. */
  readonly seen: Histories;
}

/** Which cases are to be answered with a list as well. */
export interface WantedLists {
  /** Indexes of cases, ascending. */
  readonly of: Int32Array;
  /** Items of a list. */
  readonly length: number;
}

export interface Answers {
  /** `model@64`, `popularity`, ... */
  readonly scorer: string;
  /** Size of a nested model; null for scorers that have none. */
  readonly dim: number | null;
  /** Rank of each target among the whole catalogue. */
  readonly all: Int32Array;
  /** Rank with the seen items left out. */
  readonly masked: Int32Array;
  /** Row i, `length` items wide: the list of case `of[i]` without seen items, best first; 0 past its end. */
  readonly lists: Int32Array | null;
}

/** Answers cases, under one name or several at once (a nested model under each of its sizes). */
export interface CaseScorer {
  answer(asked: AskedCases, lists: WantedLists | null): Answers[];
}

/** A scorer of whole catalogues as one that answers cases. */
export function caseScorerOf(scorer: Scorer, itemCount: number): CaseScorer {
  return {
    answer(asked, lists) {
      const { targets, seen } = asked;
      const all = new Int32Array(targets.length);
      const masked = new Int32Array(targets.length);
      const rowOfCase = new Map(Array.from(lists?.of ?? [], (c, row) => [c, row]));
      const length = lists?.length ?? 0;
      const listed = lists === null ? null : new Int32Array(lists.of.length * length);
      scoreInTurn(scorer, asked.histories, itemCount, (c, scores) => {
        const left = seen.items.subarray(seen.offsets[c]!, seen.offsets[c + 1]!);
        const bar = scores[targets[c]!]!;
        all[c] = rankOfTarget(scores, targets[c]!);
        masked[c] = all[c]! - left.reduce((sum, item) => sum + Number(!(scores[item]! < bar)), 0);
        const row = rowOfCase.get(c);
        if (row !== undefined)
          topOf(scores, left, listed!.subarray(row * length, (row + 1) * length));
      });
      return [{ scorer: scorer.name, dim: null, all, masked, lists: listed }];
    },
  };
}
