import { UsageError, InsufficientData, isError } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { around, exampleReport, exampleSize } from '../../../tests/helpers/example-report.js';
import { recommendSize, type SizeWish } from './recommend-size.js';

const report = exampleReport();
const dims = (wish: SizeWish, of = report) => {
  const { smaller, size, larger } = recommendSize(of, wish);
  return [smaller?.dim ?? null, size.dim, larger?.dim ?? null];
};
const thrown = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe('recommendSize', () => {
  it('takes the best size that fits, and says what its neighbours cost', () => {
    expect(dims({ bytesPerItem: 64 })).toEqual([null, 16, 64]);
    expect(dims({ bytesPerItem: 1_023 })).toEqual([16, 64, 256]);
    expect(dims({ bytesPerItem: 1_024 })).toEqual([64, 256, null]);
  });

  it('does not take a larger size that is no better', () => {
    const sizes = [...report.sizes.slice(0, 2), exampleSize(256, 0.047, 1)];
    const found = { ...report, sizes };
    expect(dims({ bytesPerItem: 4_000 }, found)).toEqual([16, 64, 256]);
    expect(recommendSize(found, { bytesPerItem: 4_000 }).why).toContain(
      'of the 3 sizes within 4000',
    );
  });

  it('says so where the lead over the next smaller size is not shown', () => {
    const sizes = [report.sizes[0]!, { ...report.sizes[1]!, overSmaller: around(0.001, 0.003) }];
    const { why } = recommendSize({ ...report, sizes }, { bytesPerItem: 4_000 });
    expect(why).toContain('better than 16 is not shown');
    expect(recommendSize(report, { bytesPerItem: 4_000 }).why).not.toContain('not shown');
  });

  it('refuses where nothing is small enough', () => {
    const error = thrown(() => recommendSize(report, { bytesPerItem: 63 }));
    expect(isError(error, UsageError)).toBe(true);
    expect(String(error)).toContain('takes 64 bytes');
  });

  it('claims a share by the lower bound, not by the mean', () => {
    // 64 has .96 on average and .94 at least.
    expect(dims({ minQuality: 0.94 })).toEqual([16, 64, 256]);
    expect(dims({ minQuality: 0.95 })).toEqual([64, 256, null]);
    expect(dims({ minQuality: 0.1 })).toEqual([null, 16, 64]);
    const { why } = recommendSize(report, { minQuality: 0.94 });
    expect(why).toContain('it has 96.0 %, and at least 94.0 %');
  });

  it('falls back on the whole model, which has all of itself', () => {
    expect(dims({ minQuality: 1 })).toEqual([64, 256, null]);
    expect(recommendSize(report, { minQuality: 1 }).why).toContain('It is the whole model');
  });

  it('says that shares are not known where the whole model finds nothing', () => {
    const sizes = report.sizes.map((size) => ({ ...size, shareOfFull: null }));
    const error = thrown(() => recommendSize({ ...report, sizes }, { minQuality: 0.5 }));
    expect(isError(error, InsufficientData)).toBe(true);
  });
});
