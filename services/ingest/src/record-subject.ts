/**
 * Whom and what a record of the log speaks of, as far as that can be read: for records that are no
 * events, so that an erasure finds them among the dead letters, and late ones never become any.
 *
 * Pure; never throws. Ids come out only where they are valid: nothing else can have been erased.
 */
import { idFault } from '@nestrec/contracts';

export interface RecordSubject {
  readonly userId: string | null;
  readonly eventId: string | null;
  readonly timestampMs: number | null;
}

const NOBODY: RecordSubject = { userId: null, eventId: null, timestampMs: null };
const decoder = new TextDecoder('utf-8', { fatal: true });

export function subjectOf(value: Uint8Array | null): RecordSubject {
  const body = objectIn(value);
  if (body === null) return NOBODY;
  const { timestamp_ms: timestampMs } = body;
  return {
    userId: idIn(body['user_id']),
    eventId: idIn(body['event_id']),
    timestampMs: typeof timestampMs === 'number' ? timestampMs : null,
  };
}

function objectIn(value: Uint8Array | null): Record<string, unknown> | null {
  if (value === null) return null;
  try {
    const body: unknown = JSON.parse(decoder.decode(value));
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function idIn(value: unknown): string | null {
  return typeof value === 'string' && idFault(value) === null ? value : null;
}
