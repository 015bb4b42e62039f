/** How rejects are shown: as JSON with the names of the dead-letter document, and as text that is safe to print. */
import type { RejectSummary, StoredReject } from '@nestrec/storage';
import { renderTable } from '../output.js';
import { safeText } from '../safe-text.js';

const SHOWN_VALUE_CHARACTERS = 4_000;
const SHOWN_KEY_CHARACTERS = 40;
const timeOf = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
const base64 = (bytes: Uint8Array | null) =>
  bytes === null ? null : Buffer.from(bytes).toString('base64');

export function presentSummary(reject: RejectSummary) {
  return {
    topic: reject.topic,
    partition: reject.partition,
    offset: String(reject.offset),
    part: reject.part,
    reason: reject.reason,
    detail: reject.detail,
    key: reject.key,
    value_bytes: reject.valueBytes,
    rejected_at: timeOf(reject.rejectedAtMs),
    consumer_version: reject.consumerVersion,
    sent_at: timeOf(reject.sentAtMs),
    replayed_at: timeOf(reject.replayedAtMs),
  };
}

export function presentReject(reject: StoredReject) {
  return {
    ...presentSummary(reject),
    key_base64: base64(reject.keyBytes),
    value_base64: base64(reject.value),
  };
}

export function summaryTable(rejects: readonly RejectSummary[]): string {
  const rows = rejects.map((reject) => [
    safeText(reject.topic),
    String(reject.partition),
    String(reject.offset),
    reject.reason,
    shownKey(reject.key),
    reject.valueBytes === null ? '-' : String(reject.valueBytes),
    timeOf(reject.rejectedAtMs)!,
    reject.replayedAtMs === null ? '' : 'yes',
  ]);
  const head = ['topic', 'partition', 'offset', 'reason', 'key', 'bytes', 'set aside', 'replayed'];
  return renderTable(head, rows);
}

function shownKey(key: string | null): string {
  if (key === null) return '-';
  const text = safeText(key);
  return text.length <= SHOWN_KEY_CHARACTERS ? text : `${text.slice(0, SHOWN_KEY_CHARACTERS - 1)}…`;
}

/** Everything about one reject, a line each, and its value. */
export function describeReject(reject: StoredReject): string {
  const lines: [name: string, value: string | null][] = [
    ['record', `${reject.topic} ${reject.partition} ${reject.offset}`],
    ['reason', reject.reason],
    ['detail', reject.detail],
    ['key', reject.key],
    ['set aside', timeOf(reject.rejectedAtMs)],
    ['by version', reject.consumerVersion],
    ['sent on', timeOf(reject.sentAtMs)],
    ['replayed', timeOf(reject.replayedAtMs)],
  ];
  return [
    ...lines.map(([name, value]) => `${name}: ${value === null ? '-' : safeText(value)}`),
    ...describeValue(reject.value),
  ].join('\n');
}

function describeValue(value: Uint8Array | null): string[] {
  if (value === null) return ['value: none'];
  // A cut in the middle of a character is no fault of the value; bytes are shown where it has one.
  const head = value.subarray(0, SHOWN_VALUE_CHARACTERS);
  const more = value.length > head.length ? `, the first ${head.length} of them` : '';
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(head, {
      stream: more !== '',
    });
    return [`value: ${value.length} bytes${more}`, safeText(text)];
  } catch {
    const hex = Buffer.from(head.subarray(0, 1_024)).toString('hex');
    return [`value: ${value.length} bytes, no UTF-8; begins in hexadecimal`, hex];
  }
}
