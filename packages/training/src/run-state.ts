/**
 * Everything a training run must remember to go on after a kill and reach the same weights: parameters,
 * the optimiser's moments, the best parameters, counters. Random streams need no state: each epoch's
 * batches and each step's dropout come from streams named by seed, epoch and step.
 */
import type { EpochRecord, NamedArrays } from '@nestrec/contracts';
import type { EarlyStoppingState } from './early-stopping.js';

export interface RunState {
  /** Steps done since the beginning. */
  step: number;
  /** Epoch under way, counted from 1. */
  epoch: number;
  /** Batches of that epoch already done. */
  batchInEpoch: number;
  /** Sums over those batches, for the epoch's mean loss. */
  lossSum: number;
  labelSum: number;
  stopping: EarlyStoppingState;
  epochs: EpochRecord[];
  /** At the start of a run and in a checkpoint; in between the steps have them. */
  parameters: NamedArrays;
  best: NamedArrays | null;
  /** As `parameters`. */
  optimizer: NamedArrays;
}
