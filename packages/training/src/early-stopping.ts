/**
 * When to stop: the primary metric is the mean NDCG@10 over the model's sizes on validation cases with
 * seen items masked; nothing else decides "better".
 */

export const PRIMARY_METRIC = 'mean NDCG@10 over sizes, validation, seen items masked';

export interface EarlyStoppingState {
  /** Best value of the primary metric so far; -1 before the first evaluation. */
  readonly best: number;
  /** Epoch (counted from 1) of the best value; 0 before the first evaluation. */
  readonly bestEpoch: number;
  /** Evaluations since the best one. */
  readonly waited: number;
}

export const EARLY_STOPPING_START: EarlyStoppingState = { best: -1, bestEpoch: 0, waited: 0 };

/** The state after an evaluation: a strictly greater value is better, a tie is not. */
export function afterEvaluation(
  state: EarlyStoppingState,
  epoch: number,
  value: number,
): EarlyStoppingState {
  if (value > state.best) return { best: value, bestEpoch: epoch, waited: 0 };
  return { ...state, waited: state.waited + 1 };
}

/** Whether the patience is used up; patience 0 never stops early. */
export function shouldStop(state: EarlyStoppingState, patience: number): boolean {
  return patience > 0 && state.waited >= patience;
}
