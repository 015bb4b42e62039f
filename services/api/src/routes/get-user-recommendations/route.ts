/** GET /v1/users/{id}/recommendations: top-k for a user's state, at the dimension of the caller's tier. */
import { listQueryShape } from '@nestrec/contracts';
import { StateNotReady } from '@nestrec/errors';
import { z } from 'zod';
import { defineRoute } from '../../http/route.js';
import { parseFilterText } from '../filter-text.js';
import { answerRanking, rankingFor } from '../ranking.js';
import {
  afterQuery,
  excludeSeenQuery,
  filterQuery,
  idParams,
  rankedAnswer,
  rankingErrors,
  rankingQuery,
  scopes,
} from '../shared-schemas.js';
import { waitForToken } from '../wait-for-token.js';

export const getUserRecommendations = defineRoute({
  method: 'get',
  path: '/v1/users/{id}/recommendations',
  summary: 'Recommend items to a user',
  description:
    'A user without events gets the model’s answer to an empty history blended with popularity; served_by says so (personalised false, fallback unknown_user).',
  access: scopes('recommend'),
  params: idParams,
  query: z.strictObject({
    ...rankingQuery,
    exclude_seen: excludeSeenQuery,
    after: afterQuery,
    filter: filterQuery,
    ...listQueryShape,
  }),
  answers: rankedAnswer,
  errors: [...rankingErrors, StateNotReady],
  async handler({ params, query }, context) {
    const ranking = rankingFor(context, query);
    const { filter, diversity, cursor, because } = query;
    const options = { filter: parseFilterText(filter), diversity, cursor, because };
    if (query.after !== undefined) await waitForToken(query.after, context);
    return answerRanking(context, () =>
      context.deps.recommender.recommendForUser({
        ...ranking,
        ...options,
        userId: params.id,
        excludeSeen: query.exclude_seen,
      }),
    );
  },
});
