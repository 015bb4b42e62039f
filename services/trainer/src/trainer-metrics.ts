/** Metrics of trainings, by the names of reliability.md section 5. */
import type { MetricsRegistry } from '@nestrec/runtime';
import type { TrainingRun } from '@nestrec/storage';

const DURATION_BUCKETS_SECONDS = [1, 5, 15, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 43_200];

export interface TrainerMetrics {
  started(): void;
  /** Counts a run that this process worked at, as it ended. */
  ended(status: TrainingRun['status'], seconds: number): void;
  lastSuccess(atMs: number): void;
}

export function createTrainerMetrics(metrics: MetricsRegistry): TrainerMetrics {
  const runs = metrics.counter(
    'rec_training_runs_total',
    'Training runs that this process worked at, by how they ended.',
    ['result'],
  );
  const duration = metrics.histogram(
    'rec_training_duration_seconds',
    'From the claim of a training run to its end, publishing included.',
    DURATION_BUCKETS_SECONDS,
  );
  const running = metrics.gauge('rec_training_running', 'Training runs under way here: 0 or 1.');
  const success = metrics.gauge(
    'rec_training_last_success_timestamp_seconds',
    'When a training run last succeeded, here or elsewhere; absent before the first.',
  );
  running.set(0);
  return {
    started: () => running.set(1),
    ended: (status, seconds) => {
      running.set(0);
      runs.inc({ result: status });
      duration.observe(seconds);
    },
    lastSuccess: (atMs) => success.set(atMs / 1_000),
  };
}
