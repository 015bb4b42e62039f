/** GET /v1/users/{id}/recommendations: top-k for a user's state, at the dimension of the caller's tier. */
import { StateNotReady } from '@nestrec/errors';
import { z } from 'zod';
import type { RouteContext } from '../../http/route.js';
import { defineRoute } from '../../http/route.js';
import { decodeToken } from '../../events/token.js';
import { answerRanking, rankingFor } from '../ranking.js';
import {
  afterQuery,
  excludeSeenQuery,
  idParams,
  rankedAnswer,
  rankingErrors,
  rankingQuery,
  scopes,
} from '../shared-schemas.js';

export const getUserRecommendations = defineRoute({
  method: 'get',
  path: '/v1/users/{id}/recommendations',
  summary: 'Recommend items to a user',
  description:
    'A user without events gets the model’s answer to an empty history blended with popularity; served_by says so (personalised false, fallback unknown_user).',
  access: scopes('recommend'),
  params: idParams,
  query: z.strictObject({ ...rankingQuery, exclude_seen: excludeSeenQuery, after: afterQuery }),
  answers: rankedAnswer,
  errors: [...rankingErrors, StateNotReady],
  async handler({ params, query }, context) {
    const ranking = rankingFor(context, query);
    if (query.after !== undefined) await waitFor(query.after, context);
    return answerRanking(context, () =>
      context.deps.recommender.recommendForUser({
        ...ranking,
        userId: params.id,
        excludeSeen: query.exclude_seen,
      }),
    );
  },
});

/** @throws InvalidRequest, StateNotReady */
async function waitFor(token: string, { deps, settings }: RouteContext): Promise<void> {
  const applied = await deps.waitForEvents(decodeToken(token), settings.afterTimeoutMs);
  if (!applied) {
    throw new StateNotReady({
      retryAfterSeconds: 1,
      detail: `The events of the token were not applied within ${settings.afterTimeoutMs} ms; ask again, or leave out after for the present state.`,
    });
  }
}
