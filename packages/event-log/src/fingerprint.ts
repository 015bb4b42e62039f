/**
 * Fingerprints of records: what a reader keeps beside its position, to notice that the log it comes back to
 * is not the log it left (deleted and made anew, restored from an older copy).
 */
import { createHash } from 'node:crypto';
import type { LogRecord } from './types.js';

const FORM = /^(\d+)@(-?\d+):([0-9a-f]{32})$/;

/** Offset, time and a hash of key and value. */
export function fingerprintOf(record: LogRecord): string {
  const hash = createHash('sha256')
    .update(record.key ?? '')
    .update('\0')
    .update(record.value ?? '');
  return `${record.offset}@${record.appendedAtMs}:${hash.digest('hex').slice(0, 32)}`;
}

/** The offset that a fingerprint is of; null where the text is none of ours. */
export function fingerprintOffset(fingerprint: string | null): bigint | null {
  const match = FORM.exec(fingerprint ?? '');
  return match === null ? null : BigInt(match[1]!);
}
