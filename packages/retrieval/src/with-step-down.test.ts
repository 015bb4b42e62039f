import type { TierPlan } from '@nestrec/contracts';
import type { MeasuredPlan, RetrievalFacts, StoredIndex } from '@nestrec/storage';
import { describe, expect, it } from 'vitest';
import type { PublishedModel } from './published-models.js';
import type { ListRequest, Recommender } from './recommender.js';
import { EXACT_MAX_ROWS } from './search.js';
import { stepDown, withStepDown } from './with-step-down.js';

const index = (dim: number): StoredIndex => ({
  ...{ kind: 'vector', metric: 'inner_product', dim },
  ...{ name: `i${dim}`, m: 16, efConstruction: 100, bytes: 1, buildMs: 1 },
});
const measured = (
  dim: number,
  plan: MeasuredPlan['plan'],
  by: number | null,
  p50Ms: number,
): MeasuredPlan => ({
  ...{ dim, plan, index: by === null ? null : `i${by}`, p50Ms, p95Ms: p50Ms },
  ...{ recallAt20: 0.97, queries: 100, bytes: 1, shortlist: 100, efSearch: 100 },
});

const model = (rows: number, indexed: number[], plans: MeasuredPlan[] = []) => {
  const facts: RetrievalFacts = { indexes: indexed.map(index), plans, norms: true };
  return { rows, facts, cell: { sizes: [8, 16, 32, 64] } };
};
const MANY = EXACT_MAX_ROWS + 1;
const from = (dim: number, plan: TierPlan = 'auto', similar = false) => ({
  ...{ dim, plan, similar, k: 20 },
});

describe('stepDown', () => {
  it('goes down by so many sizes, and not below the smallest', () => {
    const small = model(10, []);
    const dims = [1, 2, 3, 9].map((steps) => stepDown(small, from(64), steps).dim);
    expect(dims).toEqual([32, 16, 8, 8]);
    expect(stepDown(small, from(8), 1)).toEqual({ dim: 8, plan: 'auto' });
  });

  it('passes over sizes without an index where the present one has one', () => {
    const large = model(MANY, [16, 64]);
    expect([1, 2].map((steps) => stepDown(large, from(64), steps).dim)).toEqual([16, 16]);
    expect(stepDown(large, from(16), 1).dim).toBe(16);
  });

  it('reads fewer coordinates of every item where every item is read anyway', () => {
    expect(stepDown(model(MANY, []), from(64, 'exact'), 1)).toEqual({ dim: 32, plan: 'exact' });
  });

  it('leaves a bound that would read everything at the smaller size for the index there', () => {
    const large = model(MANY, [16, 64]);
    // At 32 there still is a smaller index to bound with; at 16 there is none, and at 8 there is no index at all.
    expect(stepDown(large, from(64, 'bound'), 1)).toEqual({ dim: 32, plan: 'bound' });
    expect(stepDown(large, from(64, 'bound'), 2)).toEqual({ dim: 16, plan: 'auto' });
    expect(stepDown(large, from(64, 'bound'), 3)).toEqual({ dim: 16, plan: 'auto' });
    expect(stepDown(large, from(32, 'bound'), 1)).toEqual({ dim: 16, plan: 'auto' });
  });

  it('stays where every plan below reads every item, and this one does not', () => {
    expect(stepDown(model(MANY, [16]), from(16, 'prefix'), 1)).toEqual({ dim: 16, plan: 'prefix' });
    // Here this one does: there is nothing to bound with.
    expect(stepDown(model(MANY, [64]), from(64, 'bound'), 1)).toEqual({ dim: 32, plan: 'bound' });
  });

  it('passes over a size that was measured to take longer', () => {
    const plans = [
      measured(64, 'prefix', 64, 2),
      measured(32, 'prefix', 32, 3),
      measured(16, 'prefix', 16, 1),
    ];
    const large = model(MANY, [16, 32, 64], plans);
    expect(stepDown(large, from(64), 1)).toEqual({ dim: 16, plan: 'auto' });
  });

  it('does not mind that the bound is not for similar items: they have an index', () => {
    const large = model(MANY, [16, 64]);
    expect(stepDown(large, from(64, 'bound', true), 1)).toEqual({ dim: 16, plan: 'bound' });
  });
});

describe('an answer by another plan than the tier asks for', () => {
  it('says which plan it would have been, and at which size', async () => {
    const asked: ListRequest[] = [];
    const served_by = { dim: 0, plan: 'prefix', degraded: null };
    const answer = async (request: ListRequest) => {
      asked.push(request);
      return { items: [], served_by: { ...served_by, dim: request.dim } };
    };
    const recommender = withStepDown({ recommendForUser: answer } as unknown as Recommender, {
      current: async () => model(MANY, [16, 64]) as unknown as PublishedModel,
    });
    const request = { userId: 'u', k: 20, plan: 'bound', stepsDown: 2 } as const;
    const got = await recommender.recommendForUser(request);
    expect(asked).toMatchObject([{ dim: 16, plan: 'auto' }]);
    expect(got.served_by.degraded).toEqual({ reason: 'overload', dim: 64, plan: 'bound' });
    const same = await recommender.recommendForUser({ ...request, plan: 'auto' });
    expect(same.served_by.degraded).toEqual({ reason: 'overload', dim: 64 });
  });
});
