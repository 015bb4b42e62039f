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
    describeModel(context);
    const { contentType, body } = await deps.metrics.expose();
    return { status: 200, content: body, contentType };
  },
});

/** Says which model this process serves; before it has loaded one, or where nobody knows, nothing. */
function describeModel({ deps, metrics }: RouteContext): void {
  metrics.modelInfo.reset();
  metrics.modelAge.reset();
  metrics.modelBehind.set(deps.serving?.failed() == null ? 0 : 1);
  const served = deps.serving?.peek() ?? null;
  if (served === null) return;
  const { version, manifest } = served;
  metrics.modelInfo.set({ version, commit: manifest.commit ?? 'unknown' }, 1);
  metrics.modelAge.set(Math.max(0, (deps.clock.now() - Date.parse(manifest.createdAt)) / 1_000));
}
