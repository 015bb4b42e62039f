/**
 * Cuts a batch into runs of events and runs of erasures, which are applied in the order of the log: what
 * stands before an erasure is stored and then erased, what stands after it is judged by its tombstone.
 *
 * Pure.
 */
import { isErasure, type LogErasure, type LogInteraction } from '@nestrec/contracts';
import type { LogRecord } from '@nestrec/event-log';
import { parseRecord, type Fault } from './record-parsing.js';

export type EventEntry =
  | { readonly record: LogRecord; readonly event: LogInteraction; readonly fault?: undefined }
  | { readonly record: LogRecord; readonly fault: Fault; readonly event?: undefined };

export interface ErasureEntry {
  readonly record: LogRecord;
  readonly erasure: LogErasure;
}

export type Run =
  | { readonly kind: 'events'; readonly entries: EventEntry[] }
  | { readonly kind: 'erasures'; readonly entries: ErasureEntry[] };

/** With `refuse`, every record is set aside for that reason instead of being read. */
export function runsOf(records: readonly LogRecord[], nowMs: number, refuse?: Fault): Run[] {
  const runs: Run[] = [];
  for (const record of records) {
    const { event, fault } = refuse ? { fault: refuse } : parseRecord(record, nowMs);
    const current = runs.at(-1);
    if (event !== undefined && isErasure(event)) {
      if (current?.kind === 'erasures') current.entries.push({ record, erasure: event });
      else runs.push({ kind: 'erasures', entries: [{ record, erasure: event }] });
      continue;
    }
    const entry: EventEntry = event === undefined ? { record, fault } : { record, event };
    if (current?.kind === 'events') current.entries.push(entry);
    else runs.push({ kind: 'events', entries: [entry] });
  }
  return runs;
}
