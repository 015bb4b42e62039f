/** What the three routes of ranked lists have in common: limits of the tier, and metrics of the outcome. */
import { DEFAULT_K, type RecommendationsAnswer, type Tier } from '@nestrec/contracts';
import { InvalidRequest } from '@nestrec/errors';
import type { Ranking } from '../deps.js';
import type { Answer, Client, RouteContext } from '../http/route.js';

/** @throws InvalidRequest above the tier's k; the recommender judges `dim`, it knows the model */
export function rankingFor(
  tier: Tier,
  asked: { readonly k?: number | undefined; readonly dim?: number | undefined },
): Ranking {
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
    plan: tier.plan,
  };
}

/** Runs a query of the recommender and counts how it ended. */
export async function answerRanking(
  context: RouteContext & { readonly client: Client },
  query: () => Promise<RecommendationsAnswer>,
): Promise<Answer> {
  const { recommendations, fallbacks } = context.metrics;
  const tier = context.client.tier.name;
  try {
    const answer = await query();
    const { model_version, fallback } = answer.served_by;
    recommendations.inc({ tier, model_version, outcome: fallback === null ? 'model' : 'fallback' });
    if (fallback !== null) fallbacks.inc({ reason: fallback });
    return { status: 200, body: answer };
  } catch (error) {
    recommendations.inc({ tier, model_version: '', outcome: 'error' });
    throw error;
  }
}
