/**
 * Forwards rejects to the topic of dead letters: the second half of an outbox. The first half writes the
 * reject in the transaction of its batch; this half appends it to the topic and then marks it sent, so
 * every reject gets there at least once, in the order of setting aside, however often anything dies.
 *
 * One process at a time forwards, by a lease in the database; no transaction is open while the broker is
 * talked to. While the topic is down, rejects wait in their table and `rec_dlq_unsent_events` shows them.
 */
import { randomUUID } from 'node:crypto';
import type { Database } from '@nestrec/database';
import {
  createSignal,
  isPowerOfTwo,
  pauseAfter,
  type EventLog,
  type RetryPauses,
} from '@nestrec/event-log';
import type { Logger, MetricsRegistry } from '@nestrec/runtime';
import {
  countUnsentRejects,
  markRejectsSent,
  releaseDeadLetterLease,
  takeDeadLetterLease,
  unsentRejects,
} from '@nestrec/storage';
import { chunksByBytes } from './chunks-by-bytes.js';
import { deadLetterOf, type DeadLetterRecord } from './dead-letter-document.js';

export interface DeadLetterSettings {
  /** How often to look for rejects of other processes, ms. */
  readonly pollIntervalMs: number;
  /** How long the others wait for a process that died while it forwarded, ms. */
  readonly leaseMs: number;
  /** First and longest pause after a failure, ms. */
  readonly retryMs: RetryPauses;
  /** Rejects read at once. */
  readonly pageRows: number;
}

export const DEFAULT_DEAD_LETTER_SETTINGS: DeadLetterSettings = {
  pollIntervalMs: 5_000,
  leaseMs: 30_000,
  retryMs: { first: 100, longest: 30_000 },
  pageRows: 500,
};

/** Brokers take record batches of 1 MB unless told otherwise, and one append may become one batch. */
const MAX_APPEND_BYTES = 950_000;
const PAGE_BYTES = 4_000_000;

export interface DeadLetterDeps {
  readonly db: Database;
  readonly deadLetters: Pick<EventLog, 'append' | 'topic'>;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly settings?: Partial<DeadLetterSettings>;
}

export interface DeadLetterForwarder {
  /** Begins to forward; safe twice. */
  start(): void;
  /** Says that rejects were stored. */
  wake(): void;
  /** Ends after the append that runs, and gives the lease up. Safe twice. */
  stop(): Promise<void>;
}

/** Composes the forwarder; does nothing before `start`. */
export function createDeadLetterForwarder(deps: DeadLetterDeps): DeadLetterForwarder {
  const { db, deadLetters, logger } = deps;
  const settings = { ...DEFAULT_DEAD_LETTER_SETTINGS, ...deps.settings };
  const lease = { topic: deadLetters.topic, holder: randomUUID() };
  const signal = createSignal();
  const gauge = deps.metrics.gauge(
    'rec_dlq_unsent_events',
    'Records set aside that the topic of dead letters has not had; the same in every process.',
  );
  const retries = deps.metrics.counter(
    'rec_dlq_retries_total',
    'Times that dead letters could not be forwarded and were tried again.',
  );
  let measuredAtMs = -Infinity;
  let running: Promise<void> | null = null;

  const measure = async () => {
    gauge.set(await countUnsentRejects(db));
    measuredAtMs = performance.now();
  };

  /** One page; says whether there may be more. */
  const forwardPage = async (): Promise<boolean> => {
    if (!(await takeDeadLetterLease(db, { ...lease, forMs: settings.leaseMs }))) return false;
    const page = await unsentRejects(db, { rows: settings.pageRows, bytes: PAGE_BYTES });
    const letters = page.map((reject) => ({ seq: reject.seq, record: deadLetterOf(reject) }));
    const chunks = [...chunksByBytes(letters, ({ record }) => bytesOf(record), MAX_APPEND_BYTES)];
    for (const [n, chunk] of chunks.entries()) {
      // Stopped or late: whoever holds the lease then goes on from what is marked.
      if (signal.stopped) return false;
      if (n > 0 && !(await takeDeadLetterLease(db, { ...lease, forMs: settings.leaseMs }))) {
        return false;
      }
      await deadLetters.append(chunk.map(({ record }) => record));
      const seqs = chunk.map(({ seq }) => seq);
      await markRejectsSent(db, seqs);
    }
    return page.length > 0;
  };

  const step = async () => {
    signal.clear();
    const more = await forwardPage();
    const due = performance.now() - measuredAtMs >= settings.pollIntervalMs;
    if (!more || due) await measure();
    if (!more) await signal.wait(settings.pollIntervalMs);
  };

  const recover = async (error: unknown, failures: number) => {
    retries.inc();
    const pauseMs = pauseAfter(failures, settings.retryMs);
    if (isPowerOfTwo(failures)) {
      const fields = { err: error, failures, pauseMs, topic: deadLetters.topic };
      logger.error(fields, 'dead letters wait in the table rejects; retrying');
    }
    // It says how much waits while nothing gets through; without the database it stays as it was.
    await measure().catch(() => undefined);
    await signal.pause(pauseMs);
  };

  const loop = async () => {
    let failures = 0;
    while (!signal.stopped) {
      try {
        await step();
        failures = 0;
      } catch (error) {
        failures += 1;
        await recover(error, failures);
      }
    }
    await releaseDeadLetterLease(db, lease).catch((error: unknown) =>
      logger.debug({ err: error }, 'the lease of dead letters ends by itself'),
    );
  };

  return {
    start: () => {
      running ??= loop();
    },
    wake: signal.wake,
    stop: async () => {
      signal.stop();
      await running;
    },
  };
}

const bytesOf = ({ key, value }: DeadLetterRecord) => Buffer.byteLength(key) + value.length;
