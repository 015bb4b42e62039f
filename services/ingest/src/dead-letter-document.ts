/**
 * A reject as a record of the topic of dead letters. Pure.
 *
 * A document fits a broker with Kafka's default of 1 MB per record batch, whatever was set aside: a value
 * too large for that, base64 and all, stays in the table `rejects` and the document says its length.
 */
import { DEAD_LETTER_SCHEMA_VERSION, type DeadLetter } from '@nestrec/contracts';
import type { StoredReject } from '@nestrec/storage';

export interface DeadLetterRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

/** Larger values are left out: 640,000 bytes are 853,336 in base64. */
export const MAX_VALUE_BYTES = 640_000;
/** Ids have at most 256 bytes; a key far beyond is no user's. */
const MAX_KEY_BYTES = 4_096;
const MAX_DETAIL_CHARACTERS = 1_000;

/** The record for a reject. The key is the original's; without one, or with one of over 4,096 bytes, it is empty. */
export function deadLetterOf(reject: StoredReject): DeadLetterRecord {
  const { value, keyBytes } = reject;
  const longKey = keyBytes !== null && keyBytes.length > MAX_KEY_BYTES;
  const shownKey = longKey ? keyBytes.subarray(0, MAX_KEY_BYTES) : keyBytes;
  const document: DeadLetter = {
    schema_version: DEAD_LETTER_SCHEMA_VERSION,
    topic: reject.topic,
    partition: reject.partition,
    offset: String(reject.offset),
    part: reject.part,
    reason: reject.reason,
    detail: reject.detail.slice(0, MAX_DETAIL_CHARACTERS),
    key: shownKey === null ? null : new TextDecoder('utf-8', { ignoreBOM: true }).decode(shownKey),
    key_base64: shownKey === null ? null : base64(shownKey),
    value_base64: value === null || value.length > MAX_VALUE_BYTES ? null : base64(value),
    value_bytes: value?.length ?? null,
    rejected_at: new Date(reject.rejectedAtMs).toISOString(),
    consumer_version: reject.consumerVersion,
  };
  return {
    key: longKey ? '' : (document.key ?? ''),
    value: new TextEncoder().encode(JSON.stringify(document)),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
