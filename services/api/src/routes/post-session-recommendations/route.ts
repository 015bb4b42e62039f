/** POST /v1/sessions/recommendations: top-k for the items of an anonymous session. Nothing is stored. */
import { sessionRequestSchema } from '@nestrec/contracts';
import { defineRoute } from '../../http/route.js';
import { answerRanking, listOptions, rankingFor } from '../ranking.js';
import { rankedAnswer, rankingErrors, scopes } from '../shared-schemas.js';

export const postSessionRecommendations = defineRoute({
  method: 'post',
  path: '/v1/sessions/recommendations',
  summary: 'Recommend items to an anonymous session',
  description: 'items: what the session has had so far, oldest first.',
  access: scopes('recommend'),
  body: sessionRequestSchema,
  answers: rankedAnswer,
  errors: rankingErrors,
  async handler({ body }, context) {
    const ranking = rankingFor(context, body);
    return answerRanking(context, () =>
      context.deps.recommender.recommendForSession({
        ...ranking,
        ...listOptions(body),
        items: body.items,
        excludeSeen: body.exclude_seen,
      }),
    );
  },
});
