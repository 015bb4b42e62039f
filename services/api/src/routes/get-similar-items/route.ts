/** GET /v1/items/{id}/similar: the items nearest to one item. */
import { ItemNotFound } from '@nestrec/errors';
import { z } from 'zod';
import { defineRoute } from '../../http/route.js';
import { parseFilterText } from '../filter-text.js';
import { answerRanking, rankingFor } from '../ranking.js';
import {
  filterQuery,
  idParams,
  rankedAnswer,
  rankingErrors,
  rankingQuery,
  scopes,
} from '../shared-schemas.js';

export const getSimilarItems = defineRoute({
  method: 'get',
  path: '/v1/items/{id}/similar',
  summary: 'Items similar to an item',
  access: scopes('recommend'),
  params: idParams,
  query: z.strictObject({ ...rankingQuery, filter: filterQuery }),
  answers: rankedAnswer,
  errors: [...rankingErrors, ItemNotFound],
  async handler({ params, query }, context) {
    const ranking = rankingFor(context, query);
    const filter = parseFilterText(query.filter);
    return answerRanking(context, () =>
      context.deps.recommender.similarItems({ ...ranking, filter, itemId: params.id }),
    );
  },
});
