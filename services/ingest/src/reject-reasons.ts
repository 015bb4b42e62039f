/** What each reason of a reject means, and what cures it; docs/events.md shows this table. */
import type { RejectReason } from './record-parsing.js';

interface Meaning {
  readonly meaning: string;
  readonly cure: string;
}

export const REJECT_REASONS: Readonly<Record<RejectReason, Meaning>> = {
  empty_record: {
    meaning: "no value (Kafka's tombstone), or one of zero bytes",
    cure: 'none; tombstones mean nothing in this topic',
  },
  not_utf8: {
    meaning: 'bytes that are not UTF-8: UTF-16, compression inside the value, Avro, Protobuf',
    cure: 'correct the serializer of the producer',
  },
  not_json: {
    meaning: 'text that is not JSON, or begins with a byte order mark',
    cure: 'correct the serializer of the producer',
  },
  not_an_object: {
    meaning: 'JSON, but null, a number, a text or an array',
    cure: 'one object per record',
  },
  unknown_schema_version: {
    meaning: '`schema_version` is absent, not a number, or one that this nestrec does not read',
    cure: 'update nestrec, then replay',
  },
  invalid_id: {
    meaning:
      '`event_id`, `user_id` or `item_id` is absent, no text, empty, above 256 bytes, or has a control character or a lone surrogate',
    cure: 'correct the producer; these records can never pass',
  },
  invalid_event: {
    meaning: 'a field is absent, null, renamed, unknown or of another type; `type` is malformed',
    cure: 'correct the producer; these records can never pass',
  },
  reserved_type: {
    meaning: '`type` begins with `erase_`, which is kept for erasures',
    cure: 'name the type otherwise; erase through the API',
  },
  key_mismatch: {
    meaning: 'the key is absent or is not the `user_id`: order per user would be lost',
    cure: 'write with the user id as key',
  },
  future_timestamp: {
    meaning: '`timestamp_ms` is more than five minutes ahead of the clock of ingest',
    cure: 'check the clocks; replay once the time has come',
  },
  ancient_timestamp: {
    meaning: '`timestamp_ms` is before 2000-01-01: often seconds instead of milliseconds',
    cure: 'correct the producer; these records can never pass',
  },
  event_id_conflict: {
    meaning: 'an event of this `event_id` is stored, with another body; the first one stands',
    cure: 'send it under an id of its own; replay leaves these out',
  },
  refused_by_database: {
    meaning: 'PostgreSQL refused the value',
    cure: 'report it: validation should have caught it; replay after an update',
  },
};
