/** The broker that the contract and integration tests share; each test makes topics of its own in it. */
import { inject } from 'vitest';

/** Why there is no Kafka, or null when there is one. */
export function kafkaMissing(): string | null {
  const { brokers, reason } = inject('kafka');
  return brokers === null ? reason : null;
}

/** Addresses of the shared broker, as KAFKA_BROKERS takes them. */
export function testBrokers(): string {
  const { brokers, reason } = inject('kafka');
  if (brokers === null) throw new Error(reason);
  return brokers;
}
