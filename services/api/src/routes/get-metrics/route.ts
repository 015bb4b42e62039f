/** GET /metrics: Prometheus text. Open to this machine; others need a key with the scope admin. */
import { defineOpenRoute } from '../../http/route.js';

export const getMetrics = defineOpenRoute({
  method: 'get',
  path: '/metrics',
  summary: 'Metrics',
  access: { kind: 'operator' },
  answers: { 200: { description: 'Prometheus text format.', contentType: 'text/plain' } },
  errors: [],
  async handler(_input, { deps }) {
    const { contentType, body } = await deps.metrics.expose();
    return { status: 200, content: body, contentType };
  },
});
