/** PUT /v1/items/{id}: writes an item whole and makes it recommendable at once. */
import { itemInputSchema, itemWriteAnswerSchema } from '@nestrec/contracts';
import { defineRoute } from '../../http/route.js';
import { idParams, scopes } from '../shared-schemas.js';

export const putItem = defineRoute({
  method: 'put',
  path: '/v1/items/{id}',
  summary: 'Create or replace an item',
  description:
    'The item is encoded and embedded in every live model version before the answer; it needs no interaction to be recommended. What the body leaves out is removed.',
  access: scopes('catalogue:write'),
  params: idParams,
  body: itemInputSchema,
  answers: {
    200: { description: 'The item was replaced.', schema: itemWriteAnswerSchema },
    201: { description: 'The item is new.', schema: itemWriteAnswerSchema },
  },
  errors: [],
  async handler({ params, body }, { deps }) {
    const { created, embeddedIn } = await deps.catalogue.put({ item_id: params.id, ...body });
    return {
      status: created ? 201 : 200,
      body: { item_id: params.id, embedded_in: embeddedIn },
    };
  },
});
