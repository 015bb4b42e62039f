/** GET /v1/admin/keys: all keys by public id, revoked ones included. Never the keys themselves. */
import { keysAnswerSchema } from '@nestrec/contracts';
import { defineRoute } from '../../http/route.js';
import { presentKey } from '../present-key.js';
import { scopes } from '../shared-schemas.js';

export const getKeys = defineRoute({
  method: 'get',
  path: '/v1/admin/keys',
  summary: 'List API keys',
  access: scopes('admin'),
  answers: { 200: { description: 'All keys, oldest first.', schema: keysAnswerSchema } },
  errors: [],
  async handler(_input, { deps }) {
    return { status: 200, body: { keys: (await deps.keys.list()).map(presentKey) } };
  },
});
