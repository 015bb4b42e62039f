import { describe, expect, it } from 'vitest';
import { indexCanFill } from './restriction.js';

const NONE = { exclusion: { kind: 'none' } } as const;
const TAG = { field: 'fields.tag', eq: 'a' };
const PRICE = { field: 'fields.price', lt: 5 };

describe('indexCanFill', () => {
  it('walks the index without a filter and where much passes', () => {
    expect(indexCanFill(NONE, 100, 1e5)).toBe(true);
    expect(indexCanFill({ ...NONE, filter: TAG, share: 0.1 }, 26, 1e5)).toBe(true);
    expect(indexCanFill({ ...NONE, filter: TAG }, 26, 1e5)).toBe(true);
  });

  it('does not where little passes, and sooner where the catalogue has an index for it', () => {
    expect(indexCanFill({ ...NONE, filter: TAG, share: 0.01 }, 26, 1e5)).toBe(false);
    expect(indexCanFill({ ...NONE, filter: TAG, share: 0.01 }, 26, 1e6)).toBe(false);
    expect(indexCanFill({ ...NONE, filter: PRICE, share: 0.01 }, 26, 1e6)).toBe(true);
    expect(indexCanFill({ ...NONE, filter: PRICE, share: 0.001 }, 26, 1e6)).toBe(false);
    expect(indexCanFill({ ...NONE, filter: { and: [PRICE, TAG] }, share: 0.01 }, 26, 1e6)).toBe(
      false,
    );
    expect(indexCanFill({ ...NONE, filter: { or: [PRICE, TAG] }, share: 0.01 }, 26, 1e6)).toBe(
      true,
    );
  });

  it('does not where the walk would meet most of the table', () => {
    expect(indexCanFill({ ...NONE, filter: TAG, share: 0.02 }, 26, 2_400)).toBe(false);
  });
});
