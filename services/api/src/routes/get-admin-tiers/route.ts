/** GET /v1/admin/tiers: the tiers as they are set. */
import { tierListSchema } from '@nestrec/contracts';
import { defineRoute } from '../../http/route.js';
import { scopes } from '../shared-schemas.js';

export const getAdminTiers = defineRoute({
  method: 'get',
  path: '/v1/admin/tiers',
  summary: 'List the settings of tiers',
  description: 'GET /v1/tiers says what they are worth with the published model.',
  access: scopes('admin'),
  answers: { 200: { description: 'All tiers, smallest first.', schema: tierListSchema } },
  errors: [],
  async handler(_input, { deps }) {
    return { status: 200, body: { tiers: await deps.tiers.list() } };
  },
});
