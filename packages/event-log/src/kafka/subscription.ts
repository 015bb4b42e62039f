/**
 * Subscribes to a Kafka topic as a member of a consumer group. The group decides who reads which partition;
 * the positions come from the subscriber's database, and the offsets committed to the broker are a hint for
 * its tools only.
 *
 * A client that crashed, stopped, or fell silent is thrown away and made anew for as long as it takes:
 * kafkajs itself may stay dead without a word (reliability.md section 0.5).
 */
import { EventLogUnavailable, NestrecError } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import { createSignal } from '../signal.js';
import { isPowerOfTwo, pauseAfter } from '../subscription.js';
import type { SubscribeOptions, Subscription, SubscriptionStatus } from '../types.js';
import { runGroupMember, type MemberEvents, type MemberOptions } from './group-member.js';

export interface KafkaSubscriptionOptions extends MemberOptions {
  readonly logger: Logger;
  /** Resolves when the topic is there; rejects when that cannot be known now. */
  readonly ready: () => Promise<void>;
}

export function subscribeKafka(
  options: KafkaSubscriptionOptions,
  request: SubscribeOptions,
): Subscription {
  const { logger, retryMs } = options;
  const signal = createSignal();
  /** Error and failures in a row of partitions that do not go on. */
  const failing = new Map<number, { error: unknown; failures: number }>();
  const unopened = new Set<number>();
  let member: { state: 'starting' | 'joined' } | { state: 'lost'; error: unknown } = {
    state: 'starting',
  };
  let lives = 0;
  let failures = 0;
  let lastPollAtMs: number | null = null;

  const events: MemberEvents = {
    polled: () => {
      lastPollAtMs = Date.now();
    },
    joined: (partitions) => {
      member = { state: 'joined' };
      failures = 0;
      failing.clear();
      unopened.clear();
      for (const partition of partitions) unopened.add(partition);
      logger.info({ partitions, topic: options.topic }, 'partitions assigned');
    },
    opened: (partition) => unopened.delete(partition),
    failed: (partition, error, failures, pauseMs) => {
      failing.set(partition, { error, failures });
      if (!isPowerOfTwo(failures)) return;
      const text = 'events of a partition are not applied; retrying';
      logger.error({ err: error, partition, failures, pauseMs }, text);
    },
    applied: (partition) => failing.delete(partition),
  };

  const loop = async () => {
    while (!signal.stopped) {
      try {
        await Promise.race([options.ready(), signal.end]);
        if (signal.stopped) break;
        lives += 1;
        member = { state: 'starting' };
        await runGroupMember(options, request, signal, events);
      } catch (error) {
        failures += 1;
        member = { state: 'lost', error: unavailable(options.topic, error) };
        const pauseMs = pauseAfter(failures, retryMs);
        if (isPowerOfTwo(failures)) {
          // Once or twice is a broker that starts or elects.
          const level = failures < 3 ? 'warn' : 'error';
          logger[level]({ err: error, failures, pauseMs }, 'the Kafka consumer is lost; retrying');
        }
        await signal.pause(pauseMs);
      }
    }
  };
  const ended = loop();

  const status = (): SubscriptionStatus => {
    const worst = [...failing.values()].sort((a, b) => b.failures - a.failures)[0];
    const common = { lastPollAtMs, crashes: Math.max(0, lives - 1) };
    if (signal.stopped) return { ...common, state: 'stopped', lastError: null, failures: 0 };
    if (member.state === 'lost') {
      return { ...common, state: 'retrying', lastError: member.error, failures };
    }
    if (worst !== undefined) {
      return { ...common, state: 'retrying', lastError: worst.error, failures: worst.failures };
    }
    const running = member.state === 'joined' && unopened.size === 0;
    return { ...common, state: running ? 'running' : 'starting', lastError: null, failures: 0 };
  };
  return {
    status,
    stop: async () => {
      signal.stop();
      await ended;
    },
  };
}

function unavailable(topic: string, error: unknown): Error {
  if (error instanceof NestrecError) return error;
  return new EventLogUnavailable({ detail: `topic ${topic}: ${String(error)}`, cause: error });
}
