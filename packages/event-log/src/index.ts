/** The append-only log of events behind one interface, and its embedded implementation. */
export type {
  EraseRequest,
  EventLog,
  LogBatch,
  LogRecord,
  NewRecord,
  OffsetRange,
  ReaderPosition,
  RecordPlace,
  SubscribeOptions,
  Subscription,
  SubscriptionStatus,
} from './types.js';
export { DEFAULT_TOPIC, openEmbeddedLog, type EmbeddedLogOptions } from './embedded-log.js';
export { createSignal, type Signal } from './signal.js';
export { isPowerOfTwo, pauseAfter, type RetryPauses } from './subscription.js';
export { fingerprintOf } from './fingerprint.js';
export { openKafkaLog, type KafkaLogOptions } from './kafka/kafka-log.js';
export { kafkaSettings, type KafkaConfig } from './kafka/settings.js';
export { openEventLog, type OpenedEventLog } from './open-event-log.js';
