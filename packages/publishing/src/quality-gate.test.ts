import type { Estimate, Evaluation, SizeComparison } from '@nestrec/contracts';
import { groupedBootstrap } from '@nestrec/evaluation';
import { createRandom } from '@nestrec/random';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_MARGIN, judgeTiers, MIN_USERS } from './quality-gate.js';

const at = (mean: number, half = 0): Estimate => ({ mean, low: mean - half, high: mean + half });

const size = (dim: number, change: Partial<SizeComparison> = {}): SizeComparison => ({
  ...{ limit: dim, dim, publishedDim: dim, ndcg10: at(0.1), recall10: at(0.2) },
  ...{ popularity: 0.03, overPopularity: at(0.07, 0.01), published: 0.1, overPublished: at(0) },
  ...change,
});

const evaluation = (sizes: SizeComparison[], users = 1_000): Evaluation => ({
  ...{ protocol: 'temporal', validationFrom: null, testFrom: null, against: 'old', sizes },
  ...{ cases: 3 * users, users, comparedCases: 3 * users, comparedUsers: users },
});

const judge = (
  asked: Evaluation,
  limits: (number | null)[] = [null],
  published: string | null = 'old',
  publishedUsers: number | null = 1_000,
) =>
  judgeTiers({
    ...{ evaluation: asked, published, publishedUsers, margin: DEFAULT_MARGIN },
    tiers: limits.map((max_dim) => ({ max_dim, exit_blocks: null })),
  });
const verdictOf = (asked: Evaluation, published: string | null = 'old') =>
  judge(asked, [null], published)[0]!.verdict;

describe('the verdict on one size', () => {
  it('refuses a loss beyond the margin that is proven, and says so with all numbers', () => {
    const worse = evaluation([size(64, { overPublished: at(-0.008, 0.002) })]);
    const [tier] = judge(worse);
    expect(tier).toMatchObject({ max_dim: null, dim: 64, verdict: 'failed', published: 0.1 });
    expect(tier!.reason).toBe(
      'tiers without limit: NDCG@10 at 64 is 0.1000 and that of popularity 0.0300 on 3000 cases of 1000 users; ' +
        'the published old has 0.1000 at 64 on 3000 cases of 1000 users, a difference of ' +
        '-0.0080 (95 % interval -0.0100 to -0.0060); allowed is -0.0050 (5 %): worse beyond doubt',
    );
  });

  it('accepts a loss that is within the margin, or that chance may have made', () => {
    expect(verdictOf(evaluation([size(64, { overPublished: at(-0.0049, 0.0001) })]))).toBe(
      'passed',
    );
    expect(verdictOf(evaluation([size(64, { overPublished: at(-0.008, 0.004) })]))).toBe('passed');
  });

  it('refuses a loss of three margins that is seen and not proven, on 300 users and more', () => {
    const seen = [size(64, { overPublished: at(-0.016, 0.015) })];
    expect(verdictOf(evaluation(seen, 300))).toBe('failed');
    expect(verdictOf(evaluation(seen, 299))).toBe('passed');
  });

  it('refuses what is no better than popularity, with or without a published model', () => {
    const poor = evaluation([size(64, { popularity: 0.1, overPopularity: at(0, 0.02) })]);
    expect(verdictOf(poor)).toBe('failed');
    expect(verdictOf(poor, null)).toBe('failed');
    expect(judge(poor)[0]!.reason).toMatch(/wanted more than popularity$/);
  });

  it('judges a first version by popularity alone', () => {
    const lost = evaluation([size(64, { overPublished: at(-0.09) })]);
    expect(verdictOf(lost, null)).toBe('passed');
  });

  it('says that it cannot tell where too few users were asked, whatever came out', () => {
    const lost = [size(64, { overPublished: at(-0.09), overPopularity: at(-0.03) })];
    expect(verdictOf(evaluation(lost, MIN_USERS - 1), null)).toBe('unknown');
    expect(verdictOf(evaluation(lost, MIN_USERS), null)).toBe('failed');
    const fresh = { ...evaluation([size(64)]), comparedUsers: 3, comparedCases: 4 };
    expect(verdictOf(fresh)).toBe('unknown');
    expect(judge(fresh)[0]!.reason).toMatch(
      /could not compare .*only 4 cases of 3 users are none that old was trained on, wanted those of 20/,
    );
    expect(judge(evaluation(lost, 3), [null], null)[0]!.reason).toBe(
      'tiers without limit: the gate could not judge: only 3 users have held-out events, wanted 20, ' +
        'for the mean of so few is chance',
    );
  });

  it('refuses to let so few users replace a version that was judged by enough, or by nobody knows how many', () => {
    const good = (users: number) => evaluation([size(64, { overPublished: at(0.01) })], users);
    for (const users of [1, MIN_USERS - 1]) {
      expect(judge(good(users), [null], 'old', MIN_USERS)[0]).toMatchObject({ verdict: 'failed' });
      expect(judge(good(users), [null], 'old', null)[0]).toMatchObject({ verdict: 'failed' });
      expect(judge(good(users), [null], 'old', MIN_USERS - 1)[0]!.verdict).toBe('unknown');
    }
    expect(judge(good(MIN_USERS), [null], 'old', MIN_USERS)[0]!.verdict).toBe('passed');
    expect(judge(good(3), [null], 'old', 900)[0]!.reason).toMatch(
      /: only 3 users .* is chance; the published old, which it would replace, was judged by 900$/,
    );
    expect(judge(good(3), [null], 'old', 7)[0]!.reason).toMatch(
      /is chance; the published old was judged by as few \(7\)$/,
    );
  });
});

describe('tiers', () => {
  const three = evaluation([
    size(8, { dim: null, ndcg10: null, overPublished: null }),
    size(16, { publishedDim: 8, overPublished: at(-0.02, 0.001) }),
    size(64),
  ]);

  it('that ask for an exit are judged by it, those of the same size at full depth by that', () => {
    const worse = size(64, { ndcg10: at(0.05), overPublished: at(-0.05, 0.001) });
    const withExit = { ...three, exits: [{ blocks: 1, sizes: [size(16), worse] }] };
    const verdicts = judgeTiers({
      ...{ evaluation: withExit, published: 'old', publishedUsers: 1_000, margin: DEFAULT_MARGIN },
      tiers: [
        { max_dim: 64, exit_blocks: null },
        { max_dim: 64, exit_blocks: 1 },
        // No model has it: they are served at full depth.
        { max_dim: 64, exit_blocks: 2 },
        { max_dim: 64, exit_blocks: 1 },
      ],
    });
    expect(verdicts.map((t) => [t.exit_blocks, t.verdict, t.ndcg_at_10?.mean])).toEqual([
      [1, 'failed', 0.05],
      [2, 'passed', 0.1],
      [undefined, 'passed', 0.1],
    ]);
    expect(verdicts[0]!.reason).toMatch(/^tiers up to 64 at the exit after block 1: NDCG@10 at 64/);
  });

  it('are each judged by the sizes that serve them in either model', () => {
    expect(judge(three, [64, 20, null, 16]).map((t) => [t.max_dim, t.dim, t.verdict])).toEqual([
      [16, 16, 'failed'],
      [20, 16, 'failed'],
      [64, 64, 'passed'],
      [null, 64, 'passed'],
    ]);
  });

  it('must not lose their service: a size so small that only the published model has one', () => {
    const [tier] = judge(three, [8]);
    expect(tier).toMatchObject({ dim: null, verdict: 'failed' });
    expect(tier!.reason).toBe(
      'tiers up to 8: the published old serves them 8, this has no size so small',
    );
    expect(judge(three, [4])[0]).toMatchObject({ dim: null, verdict: 'unknown' });
  });
});

/** NDCG@10 of `users` users with one to three cases each: mostly misses, and hits at some rank. */
function simulate(users: number, seed: number) {
  const random = createRandom(seed);
  const groups: number[] = [];
  const gains: number[] = [];
  for (let u = 0; u < users; u++) {
    for (let c = 0; c <= random.int(3); c++) {
      groups.push(u);
      gains.push(random.uniform() < 0.2 ? 1 / Math.log2(2 + random.int(10)) : 0);
    }
  }
  return { random, groups, gains };
}

/** Whether a candidate with `theirs` changed by `change` passes; the difference is what trainings report. */
function passes(
  users: number,
  seed: number,
  change: (gain: number, uniform: () => number) => number,
): boolean {
  const { random, groups, gains } = simulate(users, seed);
  const own = gains.map((gain) => change(gain, () => random.uniform()));
  const [over] = groupedBootstrap([own.map((gain, i) => gain - gains[i]!)], groups, {
    ...{ uniform: () => random.uniform(), resamples: 100 },
  });
  const published = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
  const row = size(64, { published, overPublished: over! });
  const counted = { ...evaluation([row], users), comparedCases: gains.length };
  return judge(counted)[0]!.verdict !== 'failed';
}

describe('on simulated cases', () => {
  it('a model identical to the published one always passes', () => {
    fc.assert(
      fc.property(fc.integer({ min: MIN_USERS, max: 400 }), fc.integer(), (users, seed) =>
        passes(users, seed, (gain) => gain),
      ),
      { numRuns: 60 },
    );
  });

  it('a model as good on other cases passes in 19 of 20, with few users and with many', () => {
    // A seventh of the hits move to other cases: as good in the mean, not the same lists.
    const moved = (gain: number, uniform: () => number) => {
      if (gain > 0) return uniform() < 1 / 7 ? 0 : gain;
      return uniform() < 0.2 / 0.8 / 7 ? 1 / Math.log2(2 + Math.floor(uniform() * 10)) : 0;
    };
    for (const [users, runs] of [
      [30, 200],
      [300, 200],
      [2_000, 40],
    ] as const) {
      const passed = Array.from({ length: runs }, (_, seed) => passes(users, seed, moved));
      expect(passed.filter(Boolean).length / runs, `${users} users`).toBeGreaterThanOrEqual(0.95);
    }
  });

  it('a model worse by three margins is refused with a power of .95 at 2,000 users', () => {
    const lossy = (gain: number, uniform: () => number) =>
      uniform() < 3 * DEFAULT_MARGIN ? 0 : gain;
    const refused = Array.from({ length: 60 }, (_, seed) => !passes(2_000, seed, lossy));
    expect(refused.filter(Boolean).length / refused.length).toBeGreaterThanOrEqual(0.95);
  });

  it('a model that learnt nothing is refused at 50 users already', () => {
    const refused = Array.from({ length: 100 }, (_, seed) => !passes(50, seed, () => 0));
    expect(refused.filter(Boolean).length).toBeGreaterThanOrEqual(99);
  });
});
