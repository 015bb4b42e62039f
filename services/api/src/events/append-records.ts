/** Appends to the log for routes that answer 202: whatever the log throws becomes 503, never a false 202. */
import { EventLogUnavailable, NestrecError } from '@nestrec/errors';
import type { EventAppender, LogPosition } from '../deps.js';

/** @throws EventLogUnavailable, DatabaseUnavailable: the records are not known to be durable */
export async function appendRecords(
  log: EventAppender,
  records: readonly { readonly key: string; readonly value: Uint8Array }[],
): Promise<readonly LogPosition[]> {
  try {
    return await log.append(records);
  } catch (cause) {
    if (cause instanceof NestrecError && cause.traits.status === 503) throw cause;
    throw new EventLogUnavailable({ cause });
  }
}
