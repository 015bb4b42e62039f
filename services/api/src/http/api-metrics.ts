/** The API's metrics. Labels have few values: route templates, never addresses or ids. */
import { HTTP_DURATION_BUCKETS_SECONDS, type MetricsRegistry } from '@nestrec/runtime';

export type ApiMetrics = ReturnType<typeof createApiMetrics>;

export function createApiMetrics(registry: MetricsRegistry) {
  return {
    duration: registry.histogram(
      'http_server_request_duration_seconds',
      'Time from a request to the end of its answer.',
      HTTP_DURATION_BUCKETS_SECONDS,
      ['method', 'route', 'status'],
    ),
    recommendations: registry.counter(
      'rec_recommend_requests_total',
      'Answered requests for ranked lists.',
      ['tier', 'model_version', 'outcome'],
    ),
    fallbacks: registry.counter(
      'rec_recommend_fallback_total',
      'Ranked lists that were not the model on the own events of a user alone.',
      ['reason'],
    ),
    eventsAccepted: registry.counter(
      'rec_events_accepted_total',
      'Events that are durable in the log: posted here (http), or read from it (log).',
      ['source'],
    ),
    modelInfo: registry.gauge('rec_model_info', 'The model version that this process serves: 1.', [
      'version',
      'commit',
    ]),
    modelAge: registry.gauge(
      'rec_model_age_seconds',
      'Time since the model version that this process serves was trained.',
    ),
    modelSwaps: registry.counter(
      'rec_model_swaps_total',
      'Requests to publish or to roll back, by how they ended; and versions that this process followed the pointer to (loaded) or could not (failed).',
      ['result'],
    ),
    modelBehind: registry.gauge(
      'rec_model_behind',
      '1 while this process serves an older version since it could not load the published one.',
    ),
    rateLimited: registry.counter(
      'rec_rate_limited_total',
      'Requests refused with 429: by the rate or the concurrency of a client, by address, or since too many large bodies wait to be read.',
      ['tier', 'reason'],
    ),
    limitStoreFailures: registry.counter(
      'rec_rate_limit_store_failures_total',
      'Claims that the shared store of rate limits did not answer: the process then limited alone.',
    ),
    overloaded: registry.counter(
      'rec_overloaded_total',
      'Ranked lists refused, or served at a smaller size, because of overload.',
      ['tier', 'action'],
    ),
    authFailures: registry.counter('rec_auth_failures_total', 'Requests without a valid key.', [
      'reason',
    ]),
  };
}
