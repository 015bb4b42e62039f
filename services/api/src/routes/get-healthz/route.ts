/** GET /healthz: the process answers. Asks nothing else: a database that is away is no reason to restart us. */
import { healthAnswerSchema } from '@nestrec/contracts';
import { defineOpenRoute } from '../../http/route.js';

export const getHealthz = defineOpenRoute({
  method: 'get',
  path: '/healthz',
  summary: 'Liveness',
  access: { kind: 'public' },
  answers: {
    200: { description: 'The process is alive.', schema: healthAnswerSchema },
  },
  errors: [],
  handler: async () => ({ status: 200, body: { status: 'ok' } }),
});
