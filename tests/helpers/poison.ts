/**
 * Records that no event can be read from, each with the reason that ingest must give: the catalogue of
 * reliability.md section 2B, as far as it is about the bytes of one record. Drawn by a seed, so that a
 * run can be repeated.
 *
 * Not here: what depends on other records (`conflictWith`), on the broker (compression, headers, aborted
 * transactions), or on time passing.
 */
import type { RejectReason } from '@nestrec/ingest';
import type { Random } from '@nestrec/random';

export interface PoisonRecord {
  readonly kind: string;
  readonly reason: RejectReason;
  readonly key: string | null;
  readonly value: Uint8Array | null;
}

type Fields = Record<string, unknown>;

interface Draft {
  readonly random: Random;
  readonly nowMs: number;
  /** A sound event of a user of its own. */
  readonly event: Fields & { event_id: string; user_id: string };
}

interface Kind {
  readonly kind: string;
  readonly reason: RejectReason;
  /** More than the 1 MB that a broker takes unless it is told otherwise. */
  readonly large?: boolean;
  readonly make: (draft: Draft) => Pick<PoisonRecord, 'key' | 'value'>;
}

const DAY_MS = 86_400_000;
const MEGABYTE = 1_048_576;
/** JSON.parse reads it, JSON.stringify and other recursive readers run out of stack. */
const DEEP = 20_000;

const bytesOf = (text: string) => new TextEncoder().encode(text);
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const choose = <T>(random: Random, options: readonly T[]): T =>
  options[random.int(options.length)]!;

/** The event with other fields; `undefined` leaves one out. */
const changed = (change: Fields | ((draft: Draft) => Fields)) => (draft: Draft) => ({
  key: draft.event.user_id,
  value: bytesOf(
    JSON.stringify({ ...draft.event, ...(typeof change === 'function' ? change(draft) : change) }),
  ),
});
/** These bytes under a sound key. */
const raw = (value: (draft: Draft) => Uint8Array | string | null) => (draft: Draft) => {
  const made = value(draft);
  return { key: draft.event.user_id, value: typeof made === 'string' ? bytesOf(made) : made };
};
const json = ({ event }: Draft) => JSON.stringify(event);
/** The event's JSON with the text of one field put in as it is, escapes and all. */
const literal = (field: string, text: string) =>
  raw(({ event }) =>
    JSON.stringify({ ...event, [field]: '?' }).replace(`"${field}":"?"`, `"${field}":${text}`),
  );

const ID_FIELDS = ['event_id', 'user_id', 'item_id'] as const;
const REQUIRED = ['type', 'timestamp_ms', 'value'] as const;

export const POISON_KINDS: readonly Kind[] = [
  { kind: 'null value', reason: 'empty_record', make: raw(() => null) },
  { kind: 'empty value', reason: 'empty_record', make: raw(() => '') },

  {
    kind: 'random bytes',
    reason: 'not_utf8',
    make: raw(({ random }) =>
      Uint8Array.from({ length: 1 + random.int(200) }, (_, i) =>
        i === 0 ? 0xff : random.int(256),
      ),
    ),
  },
  {
    kind: 'UTF-16 with a byte order mark',
    reason: 'not_utf8',
    make: raw((draft) => Buffer.from(`\ufeff${json(draft)}`, 'utf16le')),
  },
  {
    kind: 'UTF-8 cut within a character',
    reason: 'not_utf8',
    make: raw((draft) => bytesOf(`${json(draft)}é`).slice(0, -1)),
  },
  {
    kind: 'overlong UTF-8',
    reason: 'not_utf8',
    make: raw(() => Uint8Array.of(0x22, 0xc0, 0x80, 0x22)),
  },

  { kind: 'plain text', reason: 'not_json', make: raw(({ random }) => `hello ${random.int(1e6)}`) },
  {
    kind: 'JSON cut short',
    reason: 'not_json',
    make: raw((draft) => json(draft).slice(0, -1 - draft.random.int(40))),
  },
  {
    kind: 'two JSON documents',
    reason: 'not_json',
    make: raw((draft) => `${json(draft)}${json(draft)}`),
  },
  {
    kind: 'UTF-8 with a byte order mark',
    reason: 'not_json',
    make: raw((draft) => `\ufeff${json(draft)}`),
  },
  {
    kind: 'UTF-16 without a byte order mark',
    reason: 'not_json',
    make: raw((draft) => Buffer.from(json(draft), 'utf16le')),
  },
  { kind: 'NaN', reason: 'not_json', make: literal('value', 'NaN') },

  {
    kind: 'JSON scalar',
    reason: 'not_an_object',
    make: raw(({ random }) => choose(random, ['null', '7', '"text"', 'true', '1e400'])),
  },
  { kind: 'JSON array', reason: 'not_an_object', make: raw((draft) => `[${json(draft)}]`) },
  { kind: 'arrays nested deeply', reason: 'not_an_object', make: raw(() => nested(DEEP)) },

  {
    kind: 'unknown schema version',
    reason: 'unknown_schema_version',
    make: changed(({ random }) => ({
      schema_version: choose<unknown>(random, [0, 2, 99, '1', null, 1.5]),
    })),
  },
  {
    kind: 'no schema version',
    reason: 'unknown_schema_version',
    make: changed({ schema_version: undefined }),
  },
  {
    kind: 'schema version nested deeply',
    reason: 'unknown_schema_version',
    make: literal('schema_version', nested(DEEP)),
  },
  {
    kind: 'fields in the prototype',
    reason: 'unknown_schema_version',
    make: raw((draft) => `{"__proto__":${json(draft)}}`),
  },

  {
    kind: 'missing or null id',
    reason: 'invalid_id',
    make: changed(({ random }) => ({
      [choose(random, ID_FIELDS)]: choose(random, [undefined, null]),
    })),
  },
  {
    kind: 'renamed id',
    reason: 'invalid_id',
    make: changed(({ event }) => ({ user_id: undefined, userId: event.user_id })),
  },
  {
    kind: 'id of another type',
    reason: 'invalid_id',
    make: changed(({ random }) => ({
      [choose(random, ID_FIELDS)]: choose<unknown>(random, [7, true, {}, ['x']]),
    })),
  },
  { kind: 'id nested deeply', reason: 'invalid_id', make: literal('item_id', nested(DEEP)) },
  { kind: 'empty id', reason: 'invalid_id', make: changed({ item_id: '' }) },
  { kind: 'long id', reason: 'invalid_id', make: changed({ item_id: 'x'.repeat(257) }) },
  { kind: 'long id in bytes', reason: 'invalid_id', make: changed({ item_id: 'é'.repeat(129) }) },
  { kind: 'id with NUL', reason: 'invalid_id', make: changed({ item_id: 'a\u0000b' }) },
  {
    kind: 'id with a control character',
    reason: 'invalid_id',
    make: changed({ item_id: 'a\u001b[2J' }),
  },
  {
    kind: 'id with a lone surrogate',
    reason: 'invalid_id',
    make: literal('item_id', String.raw`"\ud800"`),
  },

  {
    kind: 'missing or null field',
    reason: 'invalid_event',
    make: changed(({ random }) => {
      const field = choose(random, REQUIRED);
      // A null value is sound.
      return { [field]: field === 'value' ? undefined : choose(random, [undefined, null]) };
    }),
  },
  {
    kind: 'renamed field',
    reason: 'invalid_event',
    make: changed(({ nowMs }) => ({ timestamp_ms: undefined, timestamp: nowMs })),
  },
  { kind: 'extra field', reason: 'invalid_event', make: changed({ surprise: 1 }) },
  {
    kind: 'extra field nested deeply',
    reason: 'invalid_event',
    make: literal('surprise', nested(DEEP)),
  },
  {
    kind: 'field of another type',
    reason: 'invalid_event',
    make: changed(({ random }) =>
      choose<Fields>(random, [
        { timestamp_ms: '2026-11-23T00:00:00Z' },
        { timestamp_ms: 1.5 },
        { value: 'much' },
        { value: [] },
        { type: 7 },
      ]),
    ),
  },
  { kind: 'number beyond doubles', reason: 'invalid_event', make: literal('value', '1e400') },
  {
    kind: 'malformed type',
    reason: 'invalid_event',
    make: changed(({ random }) => ({
      type: choose(random, ['', 'View', 'a b', '7', 'NUL\u0000', 'x'.repeat(65)]),
    })),
  },
  { kind: 'reserved type', reason: 'reserved_type', make: changed({ type: 'erase_everything' }) },

  {
    kind: 'wrong key',
    reason: 'key_mismatch',
    make: ({ event }) => ({ key: 'someone-else', value: bytesOf(JSON.stringify(event)) }),
  },
  {
    kind: 'no key',
    reason: 'key_mismatch',
    make: ({ event }) => ({ key: null, value: bytesOf(JSON.stringify(event)) }),
  },

  {
    kind: 'future timestamp',
    reason: 'future_timestamp',
    make: changed(({ random, nowMs }) => ({ timestamp_ms: nowMs + DAY_MS + random.int(DAY_MS) })),
  },
  {
    kind: 'ancient timestamp',
    reason: 'ancient_timestamp',
    // Seconds instead of milliseconds, among others.
    make: changed(({ random, nowMs }) => ({
      timestamp_ms: choose(random, [0, -1, Date.UTC(1999, 11, 31), Math.floor(nowMs / 1_000)]),
    })),
  },

  {
    kind: '1 MB and 1 byte',
    reason: 'invalid_id',
    large: true,
    make: (draft) => {
      const room = MEGABYTE + 1 - json({ ...draft, event: { ...draft.event, item_id: '' } }).length;
      return changed({ item_id: 'x'.repeat(room) })(draft);
    },
  },
];

/** A record of this kind; users and event ids are its own, so that it stands for no other event. */
export function makePoison(kind: Kind, random: Random, nowMs: number): PoisonRecord {
  const id = `poison-${random.int(2 ** 31).toString(36)}-${random.int(2 ** 31).toString(36)}`;
  const event = {
    ...{ schema_version: 1, event_id: id, user_id: `user-of-${id}`, item_id: 'i0' },
    ...{ type: 'view', timestamp_ms: nowMs - random.int(DAY_MS), value: null },
  };
  return { kind: kind.kind, reason: kind.reason, ...kind.make({ random, nowMs, event }) };
}

/** A record of a kind chosen at random; `large` allows those that a broker refuses unless told otherwise. */
export function drawPoison(
  random: Random,
  options: { nowMs: number; large?: boolean },
): PoisonRecord {
  const kinds = POISON_KINDS.filter((kind) => options.large === true || kind.large !== true);
  return makePoison(choose(random, kinds), random, options.nowMs);
}

/** Another event under the same id: reason `event_id_conflict`, once the first is stored. */
export function conflictWith(record: { key: string; value: Uint8Array }): PoisonRecord {
  const event = JSON.parse(new TextDecoder().decode(record.value)) as Fields;
  const value = bytesOf(
    JSON.stringify({ ...event, item_id: `other than ${String(event['item_id'])}` }),
  );
  return { kind: 'event id of another event', reason: 'event_id_conflict', key: record.key, value };
}
