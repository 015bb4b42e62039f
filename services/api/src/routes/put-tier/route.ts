/** PUT /v1/admin/tiers/{name}: adds a tier or replaces it. */
import { tierRequestSchema, tierSchema } from '@nestrec/contracts';
import { defineRoute } from '../../http/route.js';
import { scopes, tierParams } from '../shared-schemas.js';

export const putTier = defineRoute({
  method: 'put',
  path: '/v1/admin/tiers/{name}',
  summary: 'Add or change a tier',
  description:
    'A change acts on keys of the tier within the lifetime of the key cache (1 s), and on the counts of its limits at once. A size without an index is found by exact scan until the next publish.',
  access: scopes('admin'),
  params: tierParams,
  body: tierRequestSchema,
  answers: {
    200: { description: 'The tier as it is now.', schema: tierSchema },
    201: { description: 'The new tier.', schema: tierSchema },
  },
  errors: [],
  async handler({ params, body }, { deps, forgetKeys, client }) {
    const tier = { name: params.name, ...body };
    const added = await deps.tiers.put(tier);
    forgetKeys();
    deps.logger.info(
      { tier, key_id: client.publicId },
      added ? 'a tier was added' : 'a tier was changed',
    );
    return { status: added ? 201 : 200, body: tier };
  },
});
