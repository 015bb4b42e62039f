/**
 * The shapes that this package hands to training and evaluation.
 *
 * Items are internal ids 1..N (0 = padding / empty history); `itemIds[id - 1]` is the outer id. Users are
 * 0-based, in the order of their ids, which are not kept.
 */
import type { Random } from '@nestrec/random';
import type { Histories } from './histories.js';
import type { Numbers } from './numbers.js';

/** Rows of different lengths, in memory: row r is `items[offsets[r] .. offsets[r + 1])`. */
export interface Ragged {
  readonly offsets: Int32Array;
  readonly items: Int32Array;
}

/**
 * Every user's events, oldest first; user u is `items[offsets[u] .. offsets[u + 1])`. Items and times are
 * read by range, since they may lie in a file: memory grows with users and items, not with events.
 */
export interface SequenceDataset {
  readonly itemIds: readonly string[];
  readonly offsets: Int32Array;
  readonly items: Numbers<Int32Array>;
  /** Epoch milliseconds beside `items`; null when the source has no real times. */
  readonly times: Numbers<Float64Array> | null;
}

/** One ranking question per case: given the history, where does the target stand? */
export interface EvaluationCases {
  /** Index of the case's user in the data set. */
  readonly user: Int32Array;
  readonly historyOffsets: Int32Array;
  /** All items before the target, oldest first (whole history: masks need it). */
  readonly history: Int32Array;
  readonly target: Int32Array;
  /** Epoch milliseconds of each target; absent where the data have no real times. */
  readonly times?: Float64Array;
  /** Where each target stands among the events of the data set; absent where cases were made otherwise. */
  readonly positions?: Int32Array;
}

export type EvaluationPart = 'validation' | 'test';

/** What a split did with the data, for reports: every number is an exact count. */
export interface SplitReport {
  readonly protocol: 'leave-one-out' | 'temporal';
  readonly users: number;
  readonly trainEvents: number;
  readonly validationCases: number;
  readonly testCases: number;
  /** Users too short to be asked about (leave-one-out: fewer than three events; all in training). */
  readonly usersOnlyInTraining: number;
  /** Temporal only: internal ids of items that no training event has. */
  readonly unknownItems: Int32Array;
  /** Temporal only: events of unknown items, neither asked about nor part of any history. */
  readonly droppedUnknownEvents: number;
  /** Temporal only: cases dropped because the history is shorter than `minHistory`. */
  readonly droppedShortHistory: number;
  /** Cases left out by the `maxCases` sample. */
  readonly droppedBySample: number;
  /** Temporal only: the two cuts, epoch milliseconds. */
  readonly validationFromMs: number | null;
  readonly testFromMs: number | null;
}

export interface Split {
  readonly protocol: SplitReport['protocol'];
  /** One row per user of the data set (may be empty): the beginning of what the user did. */
  readonly train: Histories;
  cases(part: EvaluationPart): EvaluationCases;
  /**
   * Test cases that show of a user no more than `events` events, as for somebody nobody knows yet. Temporal: the first
   * ones of users whom training never saw, and the next one as the target. Leave-one-out, where training saw
   * everybody's first events: the newest ones before the test target, all others hidden.
   */
  casesKnowing(events: number): EvaluationCases;
  readonly report: SplitReport;
}

/**
 * A batch of histories without padding, time-major. Slots are sorted by length, longest first, so the
 * slots that still run at step t are the first `active[t]`, and row `start[t] + slot` is slot's step t:
 * `h_t = lambda * h_(t-1)[0:active[t]] + v_t` works on contiguous rows.
 */
export interface PackedBatch {
  /** Slot -> user (training: row of the histories; cases: index of the case). */
  readonly users: Int32Array;
  readonly active: Int32Array;
  readonly start: Int32Array;
  /** Item fed at each row; 0 = empty history (h stays 0 and x = E_0 = p). */
  readonly inputs: Int32Array;
  /** Item to predict at each row; 0 = no label. */
  readonly targets: Int32Array;
  readonly rows: number;
  readonly labels: number;
}

/** The batches of a training run. */
export interface BatchStream {
  /**
   * One epoch in an order drawn from `random`, without its first `skip` batches (they cost nothing). One
   * epoch at a time; leaving it early is fine. @throws WorkerFailed
   */
  epoch(random: Random, skip?: number): AsyncIterable<PackedBatch>;
  /** Ends the worker thread, whatever it is doing. */
  close(): Promise<void>;
}
