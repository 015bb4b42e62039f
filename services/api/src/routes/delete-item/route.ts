/** DELETE /v1/items/{id}: out of the catalogue and of every answer from now on. Interactions stay. */
import { ItemNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { idParams, scopes } from '../shared-schemas.js';

export const deleteItem = defineRoute({
  method: 'delete',
  path: '/v1/items/{id}',
  summary: 'Remove an item',
  access: scopes('catalogue:write'),
  params: idParams,
  answers: { 204: { description: 'The item is removed and no longer recommended.' } },
  errors: [ItemNotFound],
  async handler({ params }, { deps }) {
    const existed = await deps.catalogue.remove(params.id);
    if (!existed) throw new ItemNotFound({ detail: 'It was never there or is removed already.' });
    return { status: 204 };
  },
});
