import type { Evaluation, Manifest } from '@nestrec/contracts';
import { describe, expect, it } from 'vitest';
import { countNewer, cutsOf, protocolOf, trainedEnds } from './manifest-split.js';

const at = (day: number) => Date.UTC(2026, 0, day);
const day = (n: number) => new Date(at(n)).toISOString();

const evaluation = (values: Partial<Evaluation>): Evaluation => ({
  ...{ protocol: 'leave-one-out', validationFrom: null, testFrom: null, cases: 1, users: 1 },
  ...{ against: null, comparedCases: 0, comparedUsers: 0, sizes: [] },
  ...values,
});

const manifest = (to: string | null, values: Partial<Evaluation> | null): Manifest =>
  ({
    data: { to },
    quality: [],
    ...(values === null ? {} : { evaluation: evaluation(values) }),
  }) as unknown as Manifest;

// Users of 5, 2 and 3 events; the last two events of all came on days 9 and 10.
const data = {
  offsets: Int32Array.of(0, 5, 7, 10),
  times: Float64Array.from([1, 2, 3, 4, 9, 2, 3, 1, 3, 10], at),
};

describe('trainedEnds', () => {
  it('leaves out the newest two of each user who had three events when the model was trained', () => {
    expect([...trainedEnds(manifest(day(10), {}), data)]).toEqual([3, 7, 8]);
    // Without the events of days 9 and 10: 4 events, 2, and 2.
    expect([...trainedEnds(manifest(day(4), {}), data)]).toEqual([2, 7, 9]);
  });

  it('goes by the cut of a temporal training', () => {
    const temporal = { protocol: 'temporal', validationFrom: day(3), testFrom: day(9) } as const;
    expect([...trainedEnds(manifest(day(10), temporal), data)]).toEqual([2, 6, 8]);
  });

  it('takes everything up to its newest event where the manifest tells no cut', () => {
    const untold = { protocol: 'temporal' } as const;
    expect([...trainedEnds(manifest(day(4), untold), data)]).toEqual([4, 7, 9]);
  });

  it('goes by the order alone where there are no times', () => {
    expect([...trainedEnds(manifest(null, null), { ...data, times: null })]).toEqual([3, 7, 8]);
  });
});

describe('countNewer', () => {
  it('counts what came after the newest event of the training', () => {
    const newer = (to: string | null) => countNewer(manifest(to, {}), data);
    expect([day(10), day(9), day(4), day(3), null].map(newer)).toEqual([0, 1, 2, 3, 0]);
  });
});

describe('what a manifest says of its split', () => {
  it('is the protocol of its evaluation, and the cuts where there are both', () => {
    const temporal = { protocol: 'temporal', validationFrom: day(3), testFrom: day(9) } as const;
    expect(protocolOf(manifest(null, temporal))).toBe('temporal');
    expect(cutsOf(manifest(null, temporal))).toEqual({
      validationFromMs: at(3),
      testFromMs: at(9),
    });
    expect(protocolOf(manifest(null, null))).toBe('leave-one-out');
    expect(cutsOf(manifest(null, {}))).toBeUndefined();
  });
});
