/** GET /v1/items/{id}: an item as the catalogue has it. */
import { itemSchema } from '@nestrec/contracts';
import { ItemNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { idParams, scopes } from '../shared-schemas.js';

export const getItem = defineRoute({
  method: 'get',
  path: '/v1/items/{id}',
  summary: 'Read an item',
  access: scopes('recommend', 'catalogue:write'),
  params: idParams,
  answers: { 200: { description: 'The item.', schema: itemSchema } },
  errors: [ItemNotFound],
  async handler({ params }, { deps }) {
    const item = await deps.catalogue.get(params.id);
    if (item === null) throw new ItemNotFound({ detail: 'Write it with PUT /v1/items/{id}.' });
    return { status: 200, body: item };
  },
});
