import { manualClock } from '@nestrec/runtime';
import { describe, expect, it } from 'vitest';
import { createOverload, DEFAULT_OVERLOAD_SETTINGS } from './overload.js';

const SETTINGS = { ...DEFAULT_OVERLOAD_SETTINGS, maxInFlight: 20, maxLoopDelayMs: 100 };
const { stepMs, recoverMs } = SETTINGS;

function setUp() {
  const clock = manualClock(0);
  const loop = { delayMs: 0 };
  const overload = createOverload(SETTINGS, clock, () => loop.delayMs);
  const work = (count: number) => Array.from({ length: count }, () => overload.begin());
  const afterSteps = (steps: number) => {
    for (let n = 0; n < steps; n++) {
      overload.admit('step_down');
      clock.advance(stepMs);
    }
  };
  return { clock, loop, overload, work, afterSteps };
}

const served = (stepsDown: number) => ({ refused: false, stepsDown });
const REFUSED = { refused: true };

describe('createOverload', () => {
  it('serves in full below the limits', () => {
    const { overload, work, loop, afterSteps } = setUp();
    work(19);
    loop.delayMs = 99;
    afterSteps(10);
    expect(overload.admit('step_down')).toEqual(served(0));
    expect(overload.admit('refuse')).toEqual(served(0));
  });

  it('goes one size down at a time for as long as the pressure lasts, then refuses', () => {
    const { clock, overload, work } = setUp();
    work(20);
    const outcomes = Array.from({ length: 5 }, () => {
      const outcome = overload.admit('step_down');
      clock.advance(stepMs);
      return outcome;
    });
    expect(outcomes).toEqual([served(1), served(2), REFUSED, REFUSED, REFUSED]);
  });

  it('refuses a tier at once whose policy is to refuse, but only while the pressure lasts', () => {
    const { overload, work } = setUp();
    const ends = work(20);
    expect(overload.admit('refuse')).toEqual(REFUSED);
    ends[0]!();
    expect(overload.level).toBe(1);
    expect(overload.admit('refuse')).toEqual(served(0));
    expect(overload.admit('step_down')).toEqual(served(1));
  });

  it('does not come back by a step before it was calm for a while', () => {
    const { clock, overload, work, afterSteps } = setUp();
    const ends = work(20);
    afterSteps(2);
    expect(overload.level).toBe(2);
    // Half the limit is calm, a little more is not.
    for (const end of ends.slice(0, 9)) end();
    clock.advance(recoverMs * 5);
    expect(overload.admit('step_down')).toEqual(served(2));
    ends[9]!();
    clock.advance(recoverMs - 1);
    expect(overload.admit('step_down')).toEqual(served(2));
    clock.advance(1);
    expect(overload.admit('step_down')).toEqual(served(1));
    clock.advance(recoverMs);
    expect(overload.admit('step_down')).toEqual(served(0));
  });

  it('has recovered when nobody asked for a while', () => {
    const { clock, overload, work, afterSteps } = setUp();
    const ends = work(20);
    afterSteps(3);
    for (const end of ends) end();
    clock.advance(recoverMs * 3);
    expect(overload.admit('step_down')).toEqual(served(0));
  });

  it('takes a late event loop for overload only where requests wait for it', () => {
    const { overload, work, loop } = setUp();
    loop.delayMs = 5_000;
    work(15);
    expect(overload.admit('step_down')).toEqual(served(0));
    work(1);
    expect(overload.admit('step_down')).toEqual(served(1));
  });

  it('refuses a flood without waiting for its level', () => {
    const { overload, work } = setUp();
    work(40);
    expect(overload.admit('step_down')).toEqual(REFUSED);
  });

  it('counts a request once, however often its end is told', () => {
    const { overload } = setUp();
    const end = overload.begin();
    overload.begin();
    end();
    end();
    expect(overload.inFlight).toBe(1);
  });
});
