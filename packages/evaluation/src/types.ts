/** What metrics and baselines take. Items are integers 1..N; index 0 of a score array is never ranked. */

/** Rows of different lengths: row r is `items[offsets[r] .. offsets[r + 1])`, oldest first. */
export interface Histories {
  readonly offsets: Int32Array;
  readonly items: Int32Array;
}

/**
 * What counting baselines are fitted to: every user's items, oldest first, gone through more than once from
 * the beginning. A list of arrays is one; so is a reader of a file that never holds it whole.
 */
export type TrainingHistories = Iterable<Int32Array>;

/** Scores the whole catalogue for one history. */
export interface Scorer {
  /** `popularity`, `markov`, `cooccurrence`, `text-cosine`. */
  readonly name: string;
  /** The score depends on no more than this many newest items (absent: on the whole history). */
  readonly readsNewest?: number;
  /** Writes a score for every item into `out` (length N + 1; `out[0]` is -Infinity). */
  score(history: Int32Array, out: Float32Array): void;
}
