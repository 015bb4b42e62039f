/** Kafka logs for tests: settings with the defaults of production, and topics of their own. */
import { randomBytes } from 'node:crypto';
import { kafkaSettings, type KafkaConfig } from '@nestrec/event-log';

const defaults = Object.fromEntries(
  Object.entries(kafkaSettings).map(([key, setting]) => [key, setting.default]),
) as KafkaConfig;

/** Settings for new topics and a new group on `brokers`; short waits. */
export function kafkaTestConfig(
  brokers: string,
  overrides: Partial<KafkaConfig> = {},
): KafkaConfig {
  const name = randomBytes(6).toString('hex');
  return {
    ...defaults,
    kafkaBrokers: brokers,
    kafkaTopic: `interactions.${name}`,
    kafkaDeadLetterTopic: `interactions.dlq.${name}`,
    kafkaConsumerGroup: `group.${name}`,
    kafkaSessionTimeoutMs: 6_000,
    ...overrides,
  };
}
