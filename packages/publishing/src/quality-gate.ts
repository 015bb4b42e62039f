/**
 * Whether a candidate is good enough to serve, per tier: not worse than the published model beyond a margin,
 * and better than popularity, on the same held-out cases. Pure: it knows neither where the evaluation comes
 * from nor what is done about the verdict (decision 0027 has the reasons of each rule).
 */
import type { Estimate, Evaluation, SizeComparison, Tier, TierVerdict } from '@nestrec/contracts';

/** Share of the published NDCG@10 that a candidate may lack. */
export const DEFAULT_MARGIN = 0.05;
/** Below this many users nothing is said: an interval of so few is no interval. */
export const MIN_USERS = 20;
/** From this many users on, a loss that is merely seen counts too, where it is this many margins. */
const MIN_USERS_FOR_SEEN_LOSS = 300;
const SEEN_LOSS_MARGINS = 3;

/** What of a tier decides what it is served: its greatest dimension (null: no limit), and the exit it asks for. */
export type JudgedTier = Pick<Tier, 'max_dim'> & Partial<Pick<Tier, 'exit_blocks'>>;

export interface GateInput {
  readonly evaluation: Evaluation;
  /** The version that is published now; null: none. */
  readonly published: string | null;
  /** How many users the published version was judged by; null: not known. */
  readonly publishedUsers: number | null;
  readonly tiers: readonly JudgedTier[];
  readonly margin: number;
}

/** One verdict per distinct limit and exit, smallest first. */
export function judgeTiers(input: GateInput): TierVerdict[] {
  const { evaluation, tiers } = input;
  return distinct(tiers).map((tier) => {
    const { max_dim: limit, exit_blocks: exit } = tier;
    const at = evaluation.exits?.find(({ blocks }) => blocks === exit) ?? evaluation;
    const row = at.sizes.findLast((size) => limit === null || size.limit <= limit);
    const { verdict, reason } = judge(row, input);
    return {
      ...namesOf(tier),
      dim: row?.dim ?? null,
      verdict,
      ndcg_at_10: row?.ndcg10 ?? null,
      recall_at_10: row?.recall10 ?? null,
      popularity: row?.popularity ?? null,
      published: row?.published ?? null,
      over_popularity: row?.overPopularity ?? null,
      over_published: row?.overPublished ?? null,
      reason: `${nameOf(tier)}: ${reason}`,
    };
  });
}

/** Verdicts where nothing could be measured: the gate says of each tier that it could not judge, and why. */
export function notEvaluated(
  sizes: readonly number[],
  tiers: readonly JudgedTier[],
  why: string,
): TierVerdict[] {
  return distinct(tiers).map((tier) => ({
    ...namesOf(tier),
    dim: sizes.findLast((size) => tier.max_dim === null || size <= tier.max_dim) ?? null,
    ...{ verdict: 'unknown', ndcg_at_10: null, recall_at_10: null, popularity: null },
    ...{ published: null, over_popularity: null, over_published: null },
    reason: `${nameOf(tier)}: not evaluated, the gate could not judge: ${why}`,
  }));
}

function distinct(tiers: readonly JudgedTier[]): JudgedTier[] {
  const byName = new Map(tiers.map((tier) => [nameOf(tier), tier]));
  const rank = (value: number | null | undefined) => value ?? Infinity;
  // Infinity - Infinity is no number.
  const ascending = (a: number, b: number) => (a === b ? 0 : a - b);
  return [...byName.values()].sort(
    (a, b) =>
      ascending(rank(a.max_dim), rank(b.max_dim)) ||
      ascending(rank(a.exit_blocks), rank(b.exit_blocks)),
  );
}

function namesOf({
  max_dim,
  exit_blocks,
}: JudgedTier): Pick<TierVerdict, 'max_dim' | 'exit_blocks'> {
  return exit_blocks ? { max_dim, exit_blocks } : { max_dim };
}

function nameOf({ max_dim, exit_blocks }: JudgedTier): string {
  const size = max_dim === null ? 'tiers without limit' : `tiers up to ${max_dim}`;
  return exit_blocks ? `${size} at the exit after block ${exit_blocks}` : size;
}

type Judgement = Pick<TierVerdict, 'verdict' | 'reason'>;

const passed = (reason: string): Judgement => ({ verdict: 'passed', reason });
const failed = (reason: string): Judgement => ({ verdict: 'failed', reason });
const unknown = (reason: string): Judgement => ({ verdict: 'unknown', reason });

function judge(
  row: SizeComparison | undefined,
  { evaluation, published, publishedUsers, margin }: GateInput,
): Judgement {
  if (!row || row.dim === null) {
    return row?.publishedDim
      ? failed(
          `the published ${published} serves them ${row.publishedDim}, this has no size so small`,
        )
      : unknown('no size is so small, they are not served');
  }
  if (evaluation.users < MIN_USERS) return judgeFew(evaluation, published, publishedUsers);
  const popular = judgePopularity(row, evaluation);
  if (popular.verdict === 'failed' || published === null) return popular;
  const compared = judgePublished(row, evaluation, published, margin);
  return { verdict: compared.verdict, reason: `${popular.reason}; ${compared.reason}` };
}

/**
 * A first version replaces nothing, and one that was judged by as few is no better known than the candidate. What
 * was judged by enough must not give way to what nobody can judge.
 */
function judgeFew(
  { users }: Evaluation,
  published: string | null,
  publishedUsers: number | null,
): Judgement {
  const why =
    `the gate could not judge: only ${users} users have held-out events, wanted ${MIN_USERS}, ` +
    'for the mean of so few is chance';
  if (published === null) return unknown(why);
  if (publishedUsers !== null && publishedUsers < MIN_USERS) {
    return unknown(`${why}; the published ${published} was judged by as few (${publishedUsers})`);
  }
  const better =
    publishedUsers === null
      ? 'is not known to be judged by as few'
      : `was judged by ${publishedUsers}`;
  return failed(`${why}; the published ${published}, which it would replace, ${better}`);
}

function judgePopularity(row: SizeComparison, { cases, users }: Evaluation): Judgement {
  const { mean } = row.overPopularity!;
  const what =
    `NDCG@10 at ${row.dim} is ${figure(row.ndcg10!.mean)} and that of popularity ` +
    `${figure(row.popularity!)} on ${cases} cases of ${users} users`;
  return mean > 0 ? passed(what) : failed(`${what}, wanted more than popularity`);
}

/**
 * A loss beyond the margin is refused where it is proven: the whole interval lies there. It is also refused
 * where it is seen, three margins large, on users enough that chance would rarely show it.
 */
function judgePublished(
  row: SizeComparison,
  { comparedCases, comparedUsers }: Evaluation,
  published: string,
  margin: number,
): Judgement {
  const { overPublished: over, published: theirs } = row;
  if (row.publishedDim === null) return passed(`${published} does not serve them`);
  if (over === null || theirs === null || comparedUsers < MIN_USERS) {
    return unknown(
      `the gate could not compare it with the published: only ${comparedCases} cases of ${comparedUsers} users ` +
        `are none that ${published} was trained on, wanted those of ${MIN_USERS} users`,
    );
  }
  const allowed = margin * theirs;
  const what =
    `the published ${published} has ${figure(theirs)} at ${row.publishedDim} on ${comparedCases} cases of ` +
    `${comparedUsers} users, a difference of ${signed(over)}; allowed is -${figure(allowed)} (${percent(margin)})`;
  if (over.high < -allowed) return failed(`${what}: worse beyond doubt`);
  if (comparedUsers >= MIN_USERS_FOR_SEEN_LOSS && over.mean < -SEEN_LOSS_MARGINS * allowed) {
    return failed(`${what}: worse by more than ${SEEN_LOSS_MARGINS} margins, if not beyond doubt`);
  }
  return passed(what);
}

const figure = (value: number) => value.toFixed(4);
const percent = (share: number) => `${Number((100 * share).toFixed(1))} %`;

function signed({ mean, low, high }: Estimate): string {
  const text = (value: number) => `${value < 0 ? '-' : '+'}${figure(Math.abs(value))}`;
  return `${text(mean)} (95 % interval ${text(low)} to ${text(high)})`;
}
