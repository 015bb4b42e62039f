/** Metrics of ingest, by the names of reliability.md section 5. */
import type { MetricsRegistry } from '@nestrec/runtime';
import type { BatchOutcome } from './apply-batch.js';

const EVENT_TO_STATE_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60];

export interface IngestMetrics {
  /** Counts what a batch did; `nowMs` is the time of its commit. */
  batchApplied(outcome: BatchOutcome, nowMs: number): void;
  /** A batch failed by a fault that time cures, and will be tried again. */
  batchRetried(code: string): void;
  lag(partition: number, events: number): void;
  /** How often the client of the log was made anew since the start, and its failures in a row now. */
  consumer(crashes: number, failures: number): void;
}

export function createIngestMetrics(metrics: MetricsRegistry): IngestMetrics {
  const accepted = metrics.counter(
    'rec_events_accepted_total',
    'Events that are durable in the log: posted here (http), or read from it (log).',
    ['source'],
  );
  const applied = metrics.counter('rec_events_applied_total', 'Events stored as interactions.');
  const duplicate = metrics.counter(
    'rec_events_duplicate_total',
    'Events that had been applied before, noticed by offset or by event id.',
    ['kind'],
  );
  const rejected = metrics.counter(
    'rec_dlq_events_total',
    'Records set aside with their bytes, by reason.',
    ['reason'],
  );
  const erased = metrics.counter(
    'rec_events_erased_total',
    'Records kept out since their user or event, or their bytes in the log, had been erased.',
    ['kind'],
  );
  const erasures = metrics.counter(
    'rec_erasures_applied_total',
    'Erasures applied, of users and of single events.',
    ['kind'],
  );
  const unknown = metrics.counter(
    'rec_events_unknown_item_total',
    'Events stored whose item the published model does not know.',
  );
  const states = metrics.counter(
    'rec_states_updated_total',
    'User states written, by a step per event or by a rebuild from interactions.',
    ['way'],
  );
  const retries = metrics.counter(
    'rec_ingest_retries_total',
    'Batches that failed and were tried again.',
    ['code'],
  );
  const lag = metrics.gauge(
    'rec_consumer_lag_events',
    'Events in the log that have not been applied.',
    ['partition'],
  );
  const crashes = metrics.counter(
    'rec_consumer_crashes_total',
    'Times that the client of the event log was lost and made anew.',
    ['restart'],
  );
  const failures = metrics.gauge(
    'rec_consumer_failures',
    'Failures in a row of the partition that fares worst (a gap, a fault below); 0 while all go on.',
  );
  let crashesSeen = 0;
  const latency = metrics.histogram(
    'rec_event_to_state_seconds',
    'From the append of an event to the commit of its effects.',
    EVENT_TO_STATE_BUCKETS_SECONDS,
  );
  return {
    batchApplied: (outcome, nowMs) => {
      accepted.inc({ source: 'log' }, outcome.read);
      applied.inc(outcome.appliedAppendedAtMs.length);
      duplicate.inc({ kind: 'offset' }, outcome.skipped);
      duplicate.inc({ kind: 'event_id' }, outcome.duplicates);
      for (const fault of outcome.rejects) rejected.inc({ reason: fault.reason });
      for (const [kind, count] of Object.entries(outcome.erased)) erased.inc({ kind }, count);
      for (const [kind, count] of Object.entries(outcome.erasures)) erasures.inc({ kind }, count);
      unknown.inc(outcome.unknownEvents);
      states.inc({ way: 'step' }, outcome.stepped);
      states.inc({ way: 'rebuild' }, outcome.rebuilt);
      for (const at of outcome.appliedAppendedAtMs) {
        latency.observe(Math.max(0, nowMs - at) / 1_000);
      }
    },
    batchRetried: (code) => retries.inc({ code }),
    consumer: (total, inARow) => {
      crashes.inc({ restart: 'true' }, total - crashesSeen);
      crashesSeen = total;
      failures.set(inARow);
    },
    lag: (partition, events) => lag.set({ partition: String(partition) }, events),
  };
}
