/** DELETE /v1/items/{id}: out of the catalogue and of every answer from now on. Interactions stay. */
import { ItemNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { idParams, scopes } from '../shared-schemas.js';

export const deleteItem = defineRoute({
  method: 'delete',
  path: '/v1/items/{id}',
  summary: 'Remove an item',
  description:
    'The item may be known from the catalogue, from a model, or from stored events alone: no version shows it until it is written again. An id that nobody has heard of, or whose first events are still on their way through the log, is not found.',
  access: scopes('catalogue:write'),
  params: idParams,
  answers: { 204: { description: 'The item is removed and no longer recommended.' } },
  errors: [ItemNotFound],
  async handler({ params }, { deps }) {
    const existed = await deps.catalogue.remove(params.id);
    if (!existed) throw new ItemNotFound({ detail: 'Nobody knows it, or it is removed already.' });
    return { status: 204 };
  },
});
