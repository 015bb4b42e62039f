/**
 * Times of events: RFC 3339 with a zone or epoch milliseconds, from the year 2000 to five minutes ahead.
 * Seconds sent for milliseconds land in 1970, so the fault names both readings.
 */
import { EARLIEST_TIMESTAMP_MS, MAX_FUTURE_MS } from '@nestrec/contracts';
import { excerpt, type FieldFault } from '@nestrec/errors';

export type TimestampVerdict =
  | { readonly ok: true; readonly timestampMs: number }
  | { readonly ok: false; readonly fault: FieldFault };

/** Judges one timestamp that the schema let through; `path` names it in the fault. */
export function readTimestamp(
  value: string | number,
  path: string,
  nowMs: number,
): TimestampVerdict {
  const timestampMs = typeof value === 'number' ? value : Date.parse(value);
  const latestMs = nowMs + MAX_FUTURE_MS;
  if (timestampMs >= EARLIEST_TIMESTAMP_MS && timestampMs <= latestMs) {
    return { ok: true, timestampMs };
  }
  const range = `${text(EARLIEST_TIMESTAMP_MS)} to ${text(latestMs)} (five minutes ahead)`;
  const asSecondsMs = typeof value === 'number' ? value * 1_000 : Number.NaN;
  if (asSecondsMs >= EARLIEST_TIMESTAMP_MS && asSecondsMs <= latestMs) {
    const want = `epoch milliseconds: ${value} is ${text(timestampMs)} as milliseconds and ${text(asSecondsMs)} as seconds; if seconds were meant, send ${asSecondsMs}`;
    return { ok: false, fault: { path, got: String(value), want } };
  }
  return { ok: false, fault: { path, got: excerpt(value), want: `a time from ${range}` } };
}

const MAX_DATE_MS = 8.64e15;

function text(ms: number): string {
  return Math.abs(ms) <= MAX_DATE_MS ? new Date(ms).toISOString() : String(ms);
}
