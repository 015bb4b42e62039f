import { describe, expect, it } from 'vitest';
import { chooseCases, sampleCases, seenItems } from './seen-items.js';

const CASES = {
  user: Int32Array.of(0, 1, 4),
  historyOffsets: Int32Array.of(0, 4, 4, 7),
  history: Int32Array.of(3, 1, 3, 2, 5, 6, 5),
  target: Int32Array.of(4, 1, 6),
};

describe('seen items', () => {
  it('are distinct, and never the target of a re-purchase', () => {
    const seen = seenItems(CASES, 6);
    expect([...seen.offsets]).toEqual([0, 3, 3, 4]);
    expect([...seen.items]).toEqual([3, 1, 2, 5]);
  });
});

describe('chosen cases', () => {
  it('keep their histories, users and targets', () => {
    const chosen = chooseCases(CASES, Int32Array.of(1, 2));
    expect([...chosen.user]).toEqual([1, 4]);
    expect([...chosen.historyOffsets]).toEqual([0, 0, 3]);
    expect([...chosen.history]).toEqual([5, 6, 5]);
    expect([...chosen.target]).toEqual([1, 6]);
  });

  it('are all cases when no more are wanted than there are, or with 0', () => {
    const never = () => {
      throw new Error('must not draw');
    };
    expect(sampleCases(CASES, 3, never)).toBe(CASES);
    expect(sampleCases(CASES, 0, never)).toBe(CASES);
  });

  it('stand in their own order when sampled', () => {
    const sampled = sampleCases(CASES, 2, () => Int32Array.of(2, 0, 1));
    expect([...sampled.user]).toEqual([0, 4]);
  });
});
