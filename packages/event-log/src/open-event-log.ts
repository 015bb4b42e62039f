/** The event log that the settings choose: Kafka where brokers are given, the database's own otherwise. */
import type { Database } from '@nestrec/database';
import type { Logger } from '@nestrec/runtime';
import { openEmbeddedLog } from './embedded-log.js';
import { openKafkaLog } from './kafka/kafka-log.js';
import type { KafkaConfig } from './kafka/settings.js';
import type { EventLog } from './types.js';

export interface OpenedEventLog {
  readonly events: EventLog;
  /** Where records that could not be applied are announced; null where the table of them is all there is. */
  readonly deadLetters: EventLog | null;
  close(): Promise<void>;
}

/** @throws InvalidConfig for contradicting settings; brokers may be away */
export function openEventLog(options: {
  readonly config: KafkaConfig;
  /** Migrated. */
  readonly db: Database;
  readonly logger: Logger;
  /** Partitions of Kafka applied at the same time. */
  readonly concurrency?: number;
}): OpenedEventLog {
  const { config, db, logger } = options;
  if (config.kafkaBrokers === null) {
    const events = openEmbeddedLog(db, { logger });
    return { events, deadLetters: null, close: () => events.close() };
  }
  const { concurrency } = options;
  const events = openKafkaLog({
    ...{ config, logger },
    ...(concurrency === undefined ? {} : { concurrency }),
  });
  const deadLetters = openKafkaLog({ config, logger, topic: config.kafkaDeadLetterTopic });
  return {
    events,
    deadLetters,
    close: async () => {
      await events.close();
      await deadLetters.close();
    },
  };
}
