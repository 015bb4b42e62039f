/**
 * The append-only log of events, as its users see it: partitions of records with increasing offsets. A
 * key always falls into one partition, so records of one key keep their order.
 *
 * The log does not remember who has read what: readers keep their positions beside the effects of what
 * they read. Every record may be delivered again, never out of order within its partition.
 */
import type { Queryable } from '@nestrec/database';

export interface NewRecord {
  /** Decides the partition; the user id for interactions. */
  readonly key: string;
  readonly value: Uint8Array;
}

/** A record as read. Other producers write too, so nothing is promised of key and value. */
export interface LogRecord {
  readonly offset: bigint;
  /** Null: without a key. Bytes that are no UTF-8 read as U+FFFD. */
  readonly key: string | null;
  /** The key as it lies in the log, where that is not `key` in UTF-8. */
  readonly keyBytes?: Uint8Array;
  /** Null: Kafka's tombstone. */
  readonly value: Uint8Array | null;
  /** Time of appending by the log's own clock, epoch ms. */
  readonly appendedAtMs: number;
  /** Its bytes were taken out on purpose (`erase`): key and value are null, and there is nothing to apply. */
  readonly erased?: true;
}

/** Which records are to lose their bytes. */
export interface EraseRequest {
  /** Records of a key before an offset: all, or those whose value `only` picks. */
  readonly keys: readonly {
    readonly key: string;
    readonly below: bigint;
    readonly only?: (value: Uint8Array) => boolean;
  }[];
  readonly offsets: readonly bigint[];
}

export interface RecordPlace {
  readonly partition: number;
  readonly offset: bigint;
}

export interface LogBatch {
  readonly partition: number;
  /**
   * Every record at or after this offset, up to the last one of the batch, is in the batch. At most the
   * position that the batch is applied from, or records are missing between the two.
   */
  readonly from: bigint;
  /** One or more records, offsets increasing; holes are legitimate. */
  readonly records: readonly LogRecord[];
}

/** How far a reader has come in a partition. */
export interface ReaderPosition {
  /** The first offset not yet applied. */
  readonly nextOffset: bigint;
  /** `fingerprintOf` the last applied record; null where unknown. */
  readonly fingerprint: string | null;
}

export interface SubscribeOptions {
  /**
   * The stored positions by partition (absent: nothing applied yet). Asked at the start, after every failure
   * and, with several consumers, after every assignment, so that they can be read from where the
   * effects are stored. Given what every partition of the topic holds, so that it can refuse a changed number
   * by throwing.
   */
  readonly positions: (
    held: ReadonlyMap<number, OffsetRange>,
  ) => Promise<Map<number, ReaderPosition>>;
  /**
   * Applies one batch; batches of a partition come one after another. When it rejects, the batch comes
   * again after a pause that grows up to a cap, for as long as it takes: what can never be applied has to
   * be set aside by the handler itself.
   */
  readonly handler: (batch: LogBatch) => Promise<void>;
  /** Records per batch at most. */
  readonly maxRecords: number;
  /**
   * Subscribers of one group share the partitions, where the log is shared by processes; other groups read
   * all of it too. Absent: the group of the log's settings.
   */
  readonly group?: string;
}

export interface SubscriptionStatus {
  /** `starting`: it has not heard yet what it may read. */
  readonly state: 'starting' | 'running' | 'retrying' | 'stopped';
  /** Last time that the log answered, epoch ms; null before the first. */
  readonly lastPollAtMs: number | null;
  /** Why it is retrying; null while it runs. */
  readonly lastError: unknown;
  /** Failures since the last success. */
  readonly failures: number;
  /** How often the client of the broker had to be made anew since the start; 0 for the embedded log. */
  readonly crashes: number;
}

export interface Subscription {
  status(): SubscriptionStatus;
  /** Ends at a batch border: a handler that runs is awaited, none is started after. Safe twice. */
  stop(): Promise<void>;
}

export interface OffsetRange {
  /** Offset of the oldest record held (= next when there is none). */
  readonly low: bigint;
  /** Offset that the next record will have. */
  readonly next: bigint;
}

export interface EventLog {
  readonly topic: string;
  /**
   * Appends records; resolves when all are durable, with their places in the order given. After an error
   * any of them may be in the log or still come into it, so records carry ids of their own.
   * @throws DatabaseUnavailable or EventLogUnavailable (retryable)
   */
  append(records: readonly NewRecord[]): Promise<RecordPlace[]>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /** What each partition holds, for lag and for gaps. */
  offsets(): Promise<Map<number, OffsetRange>>;
  /**
   * Takes the bytes of records out, in the caller's transaction; offsets stay. Only a log that lives in the
   * consumer's database can; where it is absent, erased bytes go with the log's retention.
   */
  readonly erase?: (tx: Queryable, request: EraseRequest) => Promise<number>;
  /** Stops every subscription; does not close what the log stands on. Safe twice. */
  close(): Promise<void>;
}
