/** POST /v1/users/{id}/recommendations: as GET, with everything that does not fit into a URL. */
import { listOptionsShape } from '@nestrec/contracts';
import { StateNotReady } from '@nestrec/errors';
import { z } from 'zod';
import { defineRoute } from '../../http/route.js';
import { answerRanking, listOptions, rankingFor } from '../ranking.js';
import {
  afterQuery,
  excludeSeenQuery,
  idParams,
  rankedAnswer,
  rankingErrors,
  rankingQuery,
  scopes,
} from '../shared-schemas.js';
import { waitForToken } from '../wait-for-token.js';

export const postUserRecommendations = defineRoute({
  method: 'post',
  path: '/v1/users/{id}/recommendations',
  summary: 'Recommend items to a user, with filters and boosts',
  description: 'The same answer as GET; nothing is stored.',
  access: scopes('recommend'),
  params: idParams,
  body: z.strictObject({
    ...rankingQuery,
    exclude_seen: excludeSeenQuery,
    after: afterQuery,
    ...listOptionsShape,
  }),
  answers: rankedAnswer,
  errors: [...rankingErrors, StateNotReady],
  async handler({ params, body }, context) {
    const ranking = rankingFor(context, body);
    if (body.after !== undefined) await waitForToken(body.after, context);
    return answerRanking(context, () =>
      context.deps.recommender.recommendForUser({
        ...ranking,
        ...listOptions(body),
        userId: params.id,
        excludeSeen: body.exclude_seen,
      }),
    );
  },
});
