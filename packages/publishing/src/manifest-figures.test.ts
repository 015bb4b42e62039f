import type { Manifest, QualityRow } from '@nestrec/contracts';
import { describe, expect, it } from 'vitest';
import { judgeAge, judgeFigures } from './manifest-figures.js';

const row = (dim: number, ndcg: number, extra: Partial<QualityRow> = {}): QualityRow => ({
  ...{ scorer: `model@${dim}`, dim, protocol: 'leave-one-out', part: 'validation' },
  ...{ seenMasked: true, cases: 100, metrics: { 'ndcg@10': ndcg } },
  ...extra,
});
const manifest = (version: string, quality: QualityRow[], day = 1) =>
  ({
    version,
    quality,
    createdAt: `2026-01-0${day}T00:00:00.000Z`,
  }) as Manifest;

describe('figures of two manifests', () => {
  const served = manifest('old', [row(16, 0.04), row(64, 0.06)]);

  it('accepts what is as good within the tolerance, by the mean over sizes', () => {
    expect(judgeFigures(manifest('new', [row(16, 0.031), row(64, 0.06)]), served)).toMatchObject({
      passed: true,
    });
    const worse = judgeFigures(manifest('new', [row(16, 0.03), row(64, 0.055)]), served)!;
    expect(worse.passed).toBe(false);
    expect(worse.reason).toMatch(
      /is 0\.0425, the published old has 0\.0500, wanted at least 0\.0450/,
    );
  });

  it('compares only sizes that both have, measured the same way', () => {
    expect(judgeFigures(manifest('new', [row(8, 0.01), row(64, 0.06)]), served)).toMatchObject({
      passed: true,
    });
    const unmasked = [
      row(16, 0.01, { seenMasked: false }),
      row(64, 0.01, { protocol: 'temporal' }),
    ];
    expect(judgeFigures(manifest('new', unmasked), served)).toBeNull();
    expect(judgeFigures(manifest('new', []), served)).toBeNull();
  });

  it('ignores baselines, and test cases where there are validation cases', () => {
    const better = [
      row(16, 0.05),
      row(64, 0.06),
      row(64, 0.001, { part: 'test' }),
      row(0, 0.001, { scorer: 'popularity', dim: null }),
    ];
    const withTest = manifest('old', [...served.quality, row(64, 0.06, { part: 'test' })]);
    expect(judgeFigures(manifest('new', better), withTest)).toMatchObject({ passed: true });
  });

  it('refuses what was made before the served version', () => {
    expect(judgeAge(manifest('new', [], 1), manifest('old', [], 2))).toMatch(
      /was made at 2026-01-01.*before the published old/,
    );
  });
});
