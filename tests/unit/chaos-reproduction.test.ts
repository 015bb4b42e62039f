/** The command that a failed chaos run prints. */
import { describe, expect, it } from 'vitest';
import { reproduction } from '../chaos/harness/reproduction.js';

describe('the command that runs a failed chaos run again', () => {
  const options = { seed: 7, kills: null, ci: false, shrink: 1 };

  it.each([
    [options, '--only A1 --no-twins --seed 7'],
    // The short form has other numbers of events and faults: without it the seed makes another schedule.
    [{ ...options, ci: true }, '--only A1 --no-twins --seed 7 --ci'],
    [
      { ...options, ci: true, kills: 0, shrink: 4 },
      '--only A1 --no-twins --seed 7 --ci --kills 0 --shrink 4',
    ],
  ])('says every option that the numbers of the run follow from: %j', (given, wanted) => {
    expect(reproduction('A1', 'product', given)).toBe(`npm run test:chaos -- ${wanted}`);
  });

  it('runs the broken build again where that was the one', () => {
    expect(reproduction('B4', 'broken', { ...options, shrink: 2 })).toBe(
      'npm run test:chaos -- --only B4 --only-twins --seed 7 --shrink 2',
    );
  });
});
