/** GET /openapi.json: this API, described by the schemas it serves by. */
import { defineOpenRoute } from '../../http/route.js';

export const getOpenApi = defineOpenRoute({
  method: 'get',
  path: '/openapi.json',
  summary: 'The OpenAPI document',
  access: { kind: 'operator' },
  answers: { 200: { description: 'OpenAPI 3.1.', contentType: 'application/json' } },
  errors: [],
  handler: async (_input, { openApiJson }) => ({
    status: 200,
    content: openApiJson(),
    contentType: 'application/json; charset=utf-8',
  }),
});
