/** The append-only log of events behind one interface, and its embedded implementation. */
export type {
  EventLog,
  LogBatch,
  LogRecord,
  NewRecord,
  OffsetRange,
  RecordPlace,
  SubscribeOptions,
  Subscription,
  SubscriptionStatus,
} from './types.js';
export { DEFAULT_TOPIC, openEmbeddedLog, type EmbeddedLogOptions } from './embedded-log.js';
export { createSignal, type Signal } from './signal.js';
