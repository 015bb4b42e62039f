/**
 * Prometheus metrics of a process (prom-client). Names have the prefix `rec_`, base units and `_total` on
 * counters; labels never carry user ids or other unbounded values.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface MetricsRegistry {
  counter<L extends string = never>(name: string, help: string, labels?: readonly L[]): Counter<L>;
  gauge<L extends string = never>(name: string, help: string, labels?: readonly L[]): Gauge<L>;
  histogram<L extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: readonly L[],
  ): Histogram<L>;
  /** Text exposition format and its content type. */
  expose(): Promise<{ contentType: string; body: string }>;
}

/** Seconds; the stable buckets of OpenTelemetry's http.server.request.duration. */
export const HTTP_DURATION_BUCKETS_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
] as const;

/**
 * A registry of its own, so that several services of one process, and tests, do not share counters.
 * Asking twice for one name gives the same metric.
 */
export function createMetrics(options: { processMetrics?: boolean } = {}): MetricsRegistry {
  const registry = new Registry();
  if (options.processMetrics ?? false) collectDefaultMetrics({ register: registry });
  const common = <L extends string>(name: string, help: string, labels: readonly L[] = []) => ({
    name,
    help,
    labelNames: labels,
    registers: [registry],
  });
  const existing = <T>(name: string) => registry.getSingleMetric(name) as T | undefined;
  return {
    counter: <L extends string>(name: string, help: string, labels?: readonly L[]) =>
      existing<Counter<L>>(name) ?? new Counter<L>(common(name, help, labels)),
    gauge: <L extends string>(name: string, help: string, labels?: readonly L[]) =>
      existing<Gauge<L>>(name) ?? new Gauge<L>(common(name, help, labels)),
    histogram: <L extends string>(
      name: string,
      help: string,
      buckets: readonly number[],
      labels?: readonly L[],
    ) =>
      existing<Histogram<L>>(name) ??
      new Histogram<L>({ ...common(name, help, labels), buckets: [...buckets] }),
    expose: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}

export type { Counter, Gauge, Histogram } from 'prom-client';
