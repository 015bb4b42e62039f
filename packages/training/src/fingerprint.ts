/**
 * One hash over everything that decides a run's result, the machine left out: a checkpoint carries it, so
 * that only the same run can continue it.
 */
import { createHash, type Hash } from 'node:crypto';
import type { EvaluationCases, Histories } from '@nestrec/dataset';
import { hashArrays, hashBytes } from './hash-bytes.js';
import type { WarmStart } from './warm-start.js';

export interface RunIdentity {
  /** What is trained, and how: plain records. */
  readonly config: object;
  readonly settings: object;
  readonly seed: number;
  readonly train: Histories;
  readonly validation: EvaluationCases;
  readonly features: Float32Array;
  /** Parameters that it begins with, and what it trains of them; absent: its own start. */
  readonly start?: WarmStart | undefined;
}

export function fingerprintOf(run: RunIdentity): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([sorted(run.config), sorted(run.settings), run.seed]));
  hashHistories(hash, run.train);
  const arrays = [
    run.validation.historyOffsets,
    run.validation.history,
    run.validation.target,
    run.features,
  ];
  for (const array of arrays) {
    hash.update(`|${array.length}|`);
    hashBytes(hash, array);
  }
  if (run.start !== undefined) {
    hash.update(`|${run.start.trains}|${hashArrays(run.start.parameters)}`);
  }
  return hash.digest('hex');
}

/** Lengths and items of all rows: the same hash wherever the rows lie. */
function hashHistories(hash: Hash, histories: Histories): void {
  const offsets = new Int32Array(histories.rows + 1);
  for (let row = 0; row < histories.rows; row++)
    offsets[row + 1] = offsets[row]! + histories.end[row]! - histories.begin[row]!;
  hash.update(`|${offsets.length}|`);
  hashBytes(hash, offsets);
  hash.update(`|${histories.events}|`);
  for (const items of histories) hashBytes(hash, items);
}

/** Entries in order of name: the order in which a record was written must not matter. */
function sorted(record: object): [string, unknown][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
