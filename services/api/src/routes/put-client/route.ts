/** PUT /v1/admin/clients/{id}: changes the tier or the scopes of all working keys of a client. */
import { clientChangeSchema, keysAnswerSchema } from '@nestrec/contracts';
import { ClientNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { requireTier } from '../invalid-field.js';
import { presentKey } from '../present-key.js';
import { idParams, scopes } from '../shared-schemas.js';

export const putClient = defineRoute({
  method: 'put',
  path: '/v1/admin/clients/{id}',
  summary: 'Change the tier or the scopes of a client',
  description:
    'Concerns its keys that work. Acts at once in the process that answers, and within the lifetime of its key cache (1 s) in others.',
  access: scopes('admin'),
  params: idParams,
  body: clientChangeSchema,
  answers: { 200: { description: 'The keys as they are now.', schema: keysAnswerSchema } },
  errors: [ClientNotFound],
  async handler({ params, body }, { deps, forgetKey, client }) {
    if (body.tier !== undefined) await requireTier(deps, body.tier);
    const changed = await deps.keys.changeClient(params.id, {
      ...(body.tier === undefined ? {} : { tier: body.tier }),
      ...(body.scopes === undefined ? {} : { scopes: [...new Set(body.scopes)] }),
    });
    for (const { publicId } of changed) forgetKey(publicId);
    const ids = changed.map(({ publicId }) => publicId);
    deps.logger.info({ changed: ids, to: body, key_id: client.publicId }, 'a client was changed');
    return { status: 200, body: { keys: changed.map(presentKey) } };
  },
});
