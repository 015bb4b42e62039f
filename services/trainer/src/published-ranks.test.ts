import type { Manifest } from '@nestrec/contracts';
import { createSettings } from '@nestrec/training';
import { describe, expect, it } from 'vitest';
import { maxLengthOf } from './published-ranks.js';

const manifestOf = (training: object) => ({ training }) as unknown as Manifest;

describe('maxLengthOf', () => {
  it('is what the model was trained on, whatever else its manifest says of the training', () => {
    const settings = createSettings('quality', [4, 8], { maxLength: 7 });
    expect(maxLengthOf(manifestOf({ ...settings, bestEpoch: 3, steps: 90 }))).toBe(7);
  });

  it('is 50 where the manifest does not say', () => {
    expect(maxLengthOf(manifestOf({}))).toBe(50);
    expect(maxLengthOf(manifestOf({ maxLength: 'long' }))).toBe(50);
  });
});
