/** What the routes of ranked lists have in common: limits of the tier, and metrics of the outcome. */
import { DEFAULT_K, type RecommendationsAnswer } from '@nestrec/contracts';
import { InvalidRequest, Overloaded } from '@nestrec/errors';
import type { ListOptions } from '@nestrec/retrieval';
import type { Ranking } from '../deps.js';
import type { Answer, Client, RouteContext } from '../http/route.js';

type RankingContext = RouteContext & { readonly client: Client };

/**
 * @throws InvalidRequest above the tier's k, Overloaded; the recommender judges `dim`, it knows the model
 */
export function rankingFor(
  context: RankingContext,
  asked: {
    readonly k?: number | undefined;
    readonly dim?: number | undefined;
    readonly explain?: boolean | undefined;
  },
): Ranking {
  const { tier } = context.client;
  if (asked.k !== undefined && asked.k > tier.max_k) {
    const want = `at most ${tier.max_k}, the limit of the tier ${tier.name}`;
    throw new InvalidRequest({
      detail: `k: got ${asked.k}, wanted ${want}.`,
      fields: [{ path: 'k', got: String(asked.k), want }],
    });
  }
  return {
    k: asked.k ?? Math.min(DEFAULT_K, tier.max_k),
    dim: asked.dim,
    maxDim: tier.max_dim,
    exitBlocks: tier.exit_blocks,
    plan: tier.plan,
    explain: asked.explain,
    stepsDown: stepsDown(context),
  };
}

/** What a body asks of its list, without the rest of the body. */
export function listOptions(body: ListOptions): ListOptions {
  const { filter, exclude, boosts, diversity, cursor, because } = body;
  return { filter, exclude, boosts, diversity, cursor, because };
}

/** @throws Overloaded */
function stepsDown({ overload, metrics, client: { tier } }: RankingContext): number {
  const admission = overload.admit(tier.overload);
  if (admission.refused) {
    metrics.overloaded.inc({ tier: tier.name, action: 'refused' });
    throw new Overloaded({
      retryAfterSeconds: 1,
      detail: 'More ranked lists are asked for than this server can make; wait for Retry-After.',
    });
  }
  return admission.stepsDown;
}

/** Runs a query of the recommender and counts how it ended. */
export async function answerRanking(
  context: RankingContext,
  query: () => Promise<RecommendationsAnswer>,
): Promise<Answer> {
  const { recommendations, fallbacks } = context.metrics;
  const tier = context.client.tier.name;
  const end = context.overload.begin();
  try {
    const answer = await query();
    const { model_version, fallback, degraded } = answer.served_by;
    if (degraded !== null) context.metrics.overloaded.inc({ tier, action: 'stepped_down' });
    recommendations.inc({ tier, model_version, outcome: fallback === null ? 'model' : 'fallback' });
    if (fallback !== null) fallbacks.inc({ reason: fallback });
    return { status: 200, body: answer };
  } catch (error) {
    recommendations.inc({ tier, model_version: '', outcome: 'error' });
    throw error;
  } finally {
    end();
  }
}
