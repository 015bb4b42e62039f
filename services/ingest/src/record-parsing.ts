/**
 * From bytes of the log to an event (an interaction or an erasure), or to the reason why they are none
 * (reliability.md section 2B).
 *
 * Pure. Everything that the database would refuse is refused here, so that one bad record never fails
 * the transaction of its batch.
 */
import {
  EARLIEST_TIMESTAMP_MS,
  EVENT_SCHEMA_VERSION,
  idFault,
  logEraseEventSchema,
  logEraseUserSchema,
  logInteractionSchema,
  MAX_FUTURE_MS,
  type LogEvent,
} from '@nestrec/contracts';
import { excerpt } from '@nestrec/errors';

/** Why a record was set aside. Stable: operators filter and replay by it. */
export type RejectReason =
  | 'empty_record'
  | 'not_utf8'
  | 'not_json'
  | 'not_an_object'
  | 'unknown_schema_version'
  | 'invalid_id'
  | 'invalid_event'
  | 'reserved_type'
  | 'key_mismatch'
  | 'future_timestamp'
  | 'ancient_timestamp'
  | 'event_id_conflict'
  | 'refused_by_database';

export interface Fault {
  readonly reason: RejectReason;
  /** What was got and what was wanted; at most 64 characters of the input. */
  readonly detail: string;
}

export type ParsedRecord =
  | { readonly event: LogEvent; readonly fault?: undefined }
  | { readonly fault: Fault; readonly event?: undefined };

/** Types of events that change history instead of adding to it; an unknown one adds nothing either. */
const RESERVED_TYPE = /^erase_/;
const INTERACTION = {
  schema: logInteractionSchema,
  ids: ['event_id', 'user_id', 'item_id'],
} as const;
const ERASURES = new Map<unknown, Kind>([
  ['erase_user', { schema: logEraseUserSchema, ids: ['event_id', 'user_id'] }],
  ['erase_event', { schema: logEraseEventSchema, ids: ['event_id', 'user_id', 'target_event_id'] }],
]);

/** One kind of record: its schema, and which of its fields are ids. */
interface Kind {
  readonly schema:
    typeof logInteractionSchema | typeof logEraseEventSchema | typeof logEraseUserSchema;
  readonly ids: readonly string[];
}
// A byte order mark is kept, and JSON.parse then refuses it: producers write plain UTF-8.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The event in a record of the log. `nowMs` bounds its timestamp. */
export function parseRecord(
  record: { readonly key: string | null; readonly value: Uint8Array | null },
  nowMs: number,
): ParsedRecord {
  if (record.value === null || record.value.length === 0) {
    return fault('empty_record', 'got a record without a value, wanted a JSON object');
  }
  let text: string;
  try {
    text = decoder.decode(record.value);
  } catch {
    return fault('not_utf8', `got ${record.value.length} bytes that are not UTF-8`);
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return fault('not_json', `got ${excerpt(text)}, wanted a JSON object`);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return fault('not_an_object', `got ${excerpt(body)}, wanted a JSON object`);
  }
  return parseBody(body as Record<string, unknown>, record.key, nowMs);
}

function parseBody(body: Record<string, unknown>, key: string | null, nowMs: number): ParsedRecord {
  // The version first: another version's fields are not this version's faults.
  if (body['schema_version'] !== EVENT_SCHEMA_VERSION) {
    const got = excerpt(body['schema_version'] ?? null);
    return fault('unknown_schema_version', `got ${got}, wanted ${EVENT_SCHEMA_VERSION}`);
  }
  const { type } = body;
  const { schema, ids }: Kind = ERASURES.get(type) ?? INTERACTION;
  for (const field of ids) {
    const id = body[field];
    const problem = typeof id === 'string' ? idFault(id) : 'is not a string';
    if (problem !== null) return fault('invalid_id', `${field} ${problem}: got ${shown(id)}`);
  }
  if (schema === logInteractionSchema && typeof type === 'string' && RESERVED_TYPE.test(type)) {
    const wanted = [...ERASURES.keys()].join(' or ');
    return fault(
      'reserved_type',
      `type: got ${shown(type)}, wanted ${wanted} or another beginning`,
    );
  }
  const parsed = schema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const path = issue.path.join('.') || 'event';
    return fault('invalid_event', `${path}: ${excerpt(issue.message)}`);
  }
  return judge(parsed.data, key, nowMs);
}

function judge(event: LogEvent, key: string | null, nowMs: number): ParsedRecord {
  if (key !== event.user_id) {
    return fault('key_mismatch', `key ${shown(key)} is not user_id ${shown(event.user_id)}`);
  }
  if (event.timestamp_ms > nowMs + MAX_FUTURE_MS) {
    return fault(
      'future_timestamp',
      `got ${event.timestamp_ms}, ${event.timestamp_ms - nowMs} ms ahead of the clock, ` +
        `wanted at most ${MAX_FUTURE_MS}`,
    );
  }
  if (event.timestamp_ms < EARLIEST_TIMESTAMP_MS) {
    return fault(
      'ancient_timestamp',
      `got ${event.timestamp_ms}, wanted ${EARLIEST_TIMESTAMP_MS} or later`,
    );
  }
  return { event };
}

/** An excerpt that the database can store: lone surrogates and control characters are escaped. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  return excerpt(typeof value === 'string' ? JSON.stringify(value) : value);
}

function fault(reason: RejectReason, detail: string): ParsedRecord {
  return { fault: { reason, detail: storable(detail) } };
}

function storable(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\\0');
}
