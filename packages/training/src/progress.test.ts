import { describe, expect, it } from 'vitest';
import { manualClock } from '@nestrec/runtime';
import { createSpeedometer } from './progress.js';

describe('speedometer', () => {
  it('measures users per second and the time left, evaluations included', () => {
    const clock = manualClock(0);
    const speed = createSpeedometer(clock, 100);
    for (let step = 0; step < 10; step++) {
      const started = clock.now();
      clock.advance(50);
      speed.step(started, 20);
    }
    expect(speed.usersPerSecond()).toBeCloseTo(400, 6);
    expect(speed.etaSeconds(10)).toBeCloseTo(90 * 0.05, 6);
    speed.aside(1_000);
    expect(speed.etaSeconds(10)).toBeCloseTo(90 * 0.15, 6);
    expect(speed.etaSeconds(100)).toBe(0);
  });
});
