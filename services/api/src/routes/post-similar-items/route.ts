/** POST /v1/items/{id}/similar: as GET, with what does not fit into a URL. */
import { similarRequestSchema } from '@nestrec/contracts';
import { ItemNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { answerRanking, rankingFor } from '../ranking.js';
import { idParams, rankedAnswer, rankingErrors, scopes } from '../shared-schemas.js';

export const postSimilarItems = defineRoute({
  method: 'post',
  path: '/v1/items/{id}/similar',
  summary: 'Items similar to an item, with filters and exclusions',
  description: 'The same answer as GET; nothing is stored.',
  access: scopes('recommend'),
  params: idParams,
  body: similarRequestSchema,
  answers: rankedAnswer,
  errors: [...rankingErrors, ItemNotFound],
  async handler({ params, body }, context) {
    const ranking = rankingFor(context, body);
    const { filter, exclude } = body;
    return answerRanking(context, () =>
      context.deps.recommender.similarItems({ ...ranking, filter, exclude, itemId: params.id }),
    );
  },
});
