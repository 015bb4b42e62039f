/** DELETE /v1/admin/tiers/{name}: removes a tier that no working key has. */
import { TierInUse, TierNotFound } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { scopes, tierParams } from '../shared-schemas.js';

export const deleteTier = defineRoute({
  method: 'delete',
  path: '/v1/admin/tiers/{name}',
  summary: 'Remove a tier',
  description: 'Keys of the tier that were revoked or have expired go with it.',
  access: scopes('admin'),
  params: tierParams,
  answers: { 204: { description: 'The tier is gone.' } },
  errors: [TierNotFound, TierInUse],
  async handler({ params }, { deps, client }) {
    const existed = await deps.tiers.remove(params.name);
    if (!existed) throw new TierNotFound({ detail: 'GET /v1/admin/tiers lists them.' });
    deps.logger.info({ removed: params.name, key_id: client.publicId }, 'a tier was removed');
    return { status: 204 };
  },
});
