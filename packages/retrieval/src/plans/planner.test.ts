import type { TierPlan } from '@nestrec/contracts';
import type { MeasuredPlan, RetrievalFacts, StoredIndex } from '@nestrec/storage';
import { describe, expect, it } from 'vitest';
import { listLimit, planSearch, type PlanRequest } from './planner.js';

const index = (dim: number, kind: StoredIndex['kind'] = 'vector'): StoredIndex => ({
  ...{ kind, metric: kind === 'bit' ? 'hamming' : 'inner_product', dim },
  ...{ name: `i${dim}${kind}`, m: 16, efConstruction: 100, bytes: 1, buildMs: 1 },
});
const measured = (
  dim: number,
  plan: MeasuredPlan['plan'],
  by: StoredIndex,
  p50Ms: number,
): MeasuredPlan => ({
  ...{ dim, plan, index: by.name, p50Ms, p95Ms: p50Ms, recallAt20: 0.97, queries: 100, bytes: 1 },
  ...(plan === 'prefix' ? { shortlist: null, efSearch: 50 } : { shortlist: 100, efSearch: 100 }),
});
const facts: RetrievalFacts = {
  indexes: [index(64), index(128, 'halfvec'), index(256)],
  plans: [
    measured(64, 'prefix', index(64), 1),
    measured(256, 'staged', index(128, 'halfvec'), 1),
    measured(256, 'prefix', index(256), 2),
  ],
  norms: true,
};
const free: PlanRequest['restriction'] = { exclusion: { kind: 'none' } };
const filter = { eq: ['brand', 'x'] } as unknown as NonNullable<
  PlanRequest['restriction']['filter']
>;

const plan = (
  dim: number,
  wish: TierPlan,
  extra: Partial<PlanRequest> & { rows?: number; facts?: RetrievalFacts } = {},
) => {
  const { rows = 100_000, facts: offered = facts, ...rest } = extra;
  const request = { dim, k: 20, plan: wish, restriction: free, similar: false, ...rest };
  return planSearch({ sizes: [64, 128, 256], rows, facts: offered }, request);
};
const names = (searches: ReturnType<typeof plan>) =>
  searches.map(({ plan: name, by }) =>
    by === null ? name : `${name} ${by.index.dim} ${by.refuse}`,
  );

describe('the planner', () => {
  it('takes the fastest plan that was measured, and ends with the exact scan', () => {
    expect(names(plan(256, 'auto'))).toEqual(['staged 128 list', 'staged 128 index', 'exact']);
    expect(names(plan(64, 'auto'))).toEqual(['prefix 64 index', 'exact']);
  });

  it('takes the plan of the tier where the version has it, and the nearest where not', () => {
    expect(names(plan(256, 'prefix'))).toEqual(['prefix 256 index', 'exact']);
    expect(names(plan(256, 'exact'))).toEqual(['exact']);
    expect(names(plan(256, 'bound'))).toEqual(['bound 128 list']);
    expect(names(plan(64, 'staged'))).toEqual(['prefix 64 index', 'exact']);
    expect(names(plan(64, 'bound'))).toEqual(['exact']);
    expect(names(plan(256, 'bound', { facts: { ...facts, norms: false } }))).toEqual(['exact']);
  });

  it('reads small catalogues whole', () => {
    expect(names(plan(256, 'auto', { rows: 1_000 }))).toEqual(['exact']);
  });

  it('never serves a size by a shortlist that was not measured, unless asked to', () => {
    const unmeasured = { facts: { ...facts, plans: [] } };
    expect(names(plan(128, 'auto'))).toEqual(['prefix 128 index', 'exact']);
    expect(names(plan(200, 'auto', unmeasured))).toEqual(['exact']);
    expect(names(plan(256, 'staged', unmeasured))[0]).toBe('staged 128 list');
  });

  it('reads all where publishing found no index good enough for the size', () => {
    const none = { ...measured(256, 'exact', index(256), 9), index: null };
    const given = { facts: { ...facts, plans: [measured(64, 'prefix', index(64), 1), none] } };
    for (const wish of ['auto', 'prefix', 'staged'] as const) {
      expect(names(plan(256, wish, given)), wish).toEqual(['exact']);
    }
    expect(names(plan(64, 'auto', given))).toEqual(['prefix 64 index', 'exact']);
  });

  it('reads all where a filter lets little through, else filters during the walk of the index', () => {
    const restriction = { ...free, filter, share: 0.0001 };
    expect(names(plan(256, 'auto', { restriction }))).toEqual(['exact']);
    expect(names(plan(256, 'auto', { restriction: { ...restriction, share: 0.5 } }))).toEqual([
      'staged 128 index',
      'exact',
    ]);
  });

  it('takes more from the index for longer lists, and never asks for more than pgvector allows', () => {
    expect(plan(256, 'staged', { k: 20 })[0].by).toMatchObject({ shortlist: 100, efSearch: 100 });
    expect(plan(256, 'staged', { k: 60 })[0].by).toMatchObject({ shortlist: 300, efSearch: 300 });
    expect(plan(256, 'staged', { k: 500 })[0].by).toMatchObject({ efSearch: 1_000 });
    expect(plan(64, 'auto', { k: 100 })[0].by).toMatchObject({ shortlist: 112, efSearch: 112 });
  });

  it('has few texts of statements: limits are rounded up', () => {
    expect([1, 10, 11, 26, 27, 100].map(listLimit)).toEqual([16, 16, 32, 32, 48, 112]);
  });
});
