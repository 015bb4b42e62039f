/** GET /metrics: Prometheus text. Open to this machine; others need a key with the scope admin. */
import type { RouteContext } from '../../http/route.js';
import { defineOpenRoute } from '../../http/route.js';

export const getMetrics = defineOpenRoute({
  method: 'get',
  path: '/metrics',
  summary: 'Metrics',
  access: { kind: 'operator' },
  answers: { 200: { description: 'Prometheus text format.', contentType: 'text/plain' } },
  errors: [],
  async handler(_input, context) {
    const { deps } = context;
    await describeModel(context);
    const { contentType, body } = await deps.metrics.expose();
    return { status: 200, content: body, contentType };
  },
});

/** Says which model is published now. Where the database is away, the last word stands. */
async function describeModel({ deps, metrics }: RouteContext): Promise<void> {
  const published = await deps.models.published().catch(() => undefined);
  if (published === undefined) return;
  metrics.modelInfo.reset();
  metrics.modelAge.reset();
  if (published === null) return;
  const { version, manifest } = published;
  metrics.modelInfo.set({ version, commit: manifest.commit ?? 'unknown' }, 1);
  metrics.modelAge.set(Math.max(0, (deps.clock.now() - Date.parse(manifest.createdAt)) / 1_000));
}
