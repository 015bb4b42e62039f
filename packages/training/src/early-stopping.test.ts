import { describe, expect, it } from 'vitest';
import { afterEvaluation, EARLY_STOPPING_START, shouldStop } from './early-stopping.js';

function play(values: number[], patience: number): { stoppedAfter: number; bestEpoch: number } {
  let state = EARLY_STOPPING_START;
  for (const [i, value] of values.entries()) {
    state = afterEvaluation(state, i + 1, value);
    if (shouldStop(state, patience)) return { stoppedAfter: i + 1, bestEpoch: state.bestEpoch };
  }
  return { stoppedAfter: values.length, bestEpoch: state.bestEpoch };
}

describe('early stopping', () => {
  it('stops after `patience` evaluations without a better one and remembers the best', () => {
    expect(play([0.1, 0.3, 0.2, 0.25, 0.9], 2)).toEqual({ stoppedAfter: 4, bestEpoch: 2 });
  });

  it('counts a tie as not better, so that the earlier epoch stands', () => {
    expect(play([0.1, 0.1, 0.1], 2)).toEqual({ stoppedAfter: 3, bestEpoch: 1 });
  });

  it('takes the first evaluation as best even when it is 0', () => {
    expect(play([0, 0], 5).bestEpoch).toBe(1);
  });

  it('never stops early with patience 0', () => {
    expect(play([0.5, 0.4, 0.3, 0.2], 0)).toEqual({ stoppedAfter: 4, bestEpoch: 1 });
  });
});
