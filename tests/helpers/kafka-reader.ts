/** A reader of a log that keeps what it applied and its positions in memory, effects and positions together. */
import {
  fingerprintOf,
  type EventLog,
  type LogRecord,
  type ReaderPosition,
  type Subscription,
} from '@nestrec/event-log';

export interface MemoryReader {
  readonly positions: Map<number, ReaderPosition>;
  readonly applied: LogRecord[];
  texts(): string[];
  subscribe(log: EventLog): Promise<Subscription>;
}

export function memoryReader(): MemoryReader {
  const positions = new Map<number, ReaderPosition>();
  const applied: LogRecord[] = [];
  return {
    positions,
    applied,
    texts: () => applied.map(({ value }) => Buffer.from(value ?? '').toString()),
    subscribe: (log) =>
      log.subscribe({
        positions: () => Promise.resolve(new Map(positions)),
        handler: ({ partition, records }) => {
          applied.push(...records);
          const last = records.at(-1)!;
          const fingerprint = fingerprintOf(last);
          positions.set(partition, { nextOffset: last.offset + 1n, fingerprint });
          return Promise.resolve();
        },
        maxRecords: 100,
      }),
  };
}
