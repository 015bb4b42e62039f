/** GET /healthz: the process answers. Asks nothing else: a database that is away is no reason to restart us. */
import { z } from 'zod';
import { defineOpenRoute } from '../../http/route.js';

export const getHealthz = defineOpenRoute({
  method: 'get',
  path: '/healthz',
  summary: 'Liveness',
  access: { kind: 'public' },
  answers: {
    200: {
      description: 'The process is alive.',
      schema: z.strictObject({ status: z.literal('ok') }),
    },
  },
  errors: [],
  handler: async () => ({ status: 200, body: { status: 'ok' } }),
});
