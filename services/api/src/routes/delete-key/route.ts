/** DELETE /v1/admin/keys/{id}: revokes a key for good; `id` is its public id. */
import { KeyNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { idParams, scopes } from '../shared-schemas.js';

export const deleteKey = defineRoute({
  method: 'delete',
  path: '/v1/admin/keys/{id}',
  summary: 'Revoke an API key',
  description:
    'Acts at once in the process that answers, and within the lifetime of its key cache (1 s) in others. Revoking twice is fine.',
  access: scopes('admin'),
  params: idParams,
  answers: { 204: { description: 'The key is revoked.' } },
  errors: [KeyNotFound],
  async handler({ params }, { deps, forgetKey, client }) {
    const existed = await deps.keys.revoke(params.id);
    forgetKey(params.id);
    if (!existed) throw new KeyNotFound({ detail: 'GET /v1/admin/keys lists the ids.' });
    deps.logger.info({ revoked: params.id, key_id: client.publicId }, 'an API key was revoked');
    return { status: 204 };
  },
});
