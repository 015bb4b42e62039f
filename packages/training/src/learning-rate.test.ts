import { describe, expect, it } from 'vitest';
import { learningRateAt } from './learning-rate.js';

const OPTIONS = { peak: 0.002, finalShare: 0.1, warmupSteps: 100, totalSteps: 1_100 };

describe('learning rate', () => {
  it('rises linearly to the peak, then falls along a cosine to its final share', () => {
    expect(learningRateAt(0, OPTIONS)).toBeCloseTo(0.00002, 10);
    expect(learningRateAt(49, OPTIONS)).toBeCloseTo(0.001, 10);
    expect(learningRateAt(100, OPTIONS)).toBeCloseTo(0.002, 10);
    // Half way down: mean of peak and final.
    expect(learningRateAt(600, OPTIONS)).toBeCloseTo(0.0011, 10);
    expect(learningRateAt(1_100, OPTIONS)).toBeCloseTo(0.0002, 10);
    expect(learningRateAt(9_999, OPTIONS)).toBeCloseTo(0.0002, 10);
  });

  it('spends at most a tenth of a short run on warming up', () => {
    expect(learningRateAt(5, { ...OPTIONS, totalSteps: 50 })).toBeCloseTo(0.002, 10);
    expect(learningRateAt(0, { ...OPTIONS, totalSteps: 3 })).toBeCloseTo(0.002, 10);
  });
});
