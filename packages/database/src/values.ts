/**
 * Values on their way into and out of SQL, as text, the same for both adapters. Each driver has its own
 * habits (pg sends typed arrays as bytes, PGlite parses int8 to number when it fits), so neither is used.
 */
import { excerpt, InternalError, InvalidParameter } from '@nestrec/errors';
import { vectorBytes, vectorText } from './vectors.js';

class Json {
  constructor(readonly text: string) {}
}

/** Marks a value as a json/jsonb parameter. */
export function json(value: unknown): unknown {
  return new Json(JSON.stringify(value ?? null));
}

/** Marks a float array as a parameter that is a pgvector `vector`. */
export function vector(value: Float32Array): unknown {
  return new Vector(value);
}

class Vector {
  constructor(readonly value: Float32Array) {}
}

/** Whether it was made by `vector()`. */
export const isVector = (value: unknown): boolean => value instanceof Vector;

const GREATEST_DATE_MS = 8.64e15;

function encodeText(text: string, place: string): string {
  if (text.includes('\u0000')) throw invalid(place, text, 'text without NUL characters');
  if (!text.isWellFormed()) throw invalid(place, text, 'text without lone surrogates');
  return text;
}

function invalid(place: string, got: unknown, want: string) {
  return new InvalidParameter({
    detail: `${place}: got ${excerpt(String(got).replaceAll('\u0000', '\\0'))}, wanted ${want}`,
  });
}

function encodeDate(date: Date, place: string): string {
  const ms = date.getTime();
  if (!(Math.abs(ms) <= GREATEST_DATE_MS)) throw invalid(place, date, 'a finite time');
  const year = date.getUTCFullYear();
  // ISO's signed six-digit years are not PostgreSQL's notation, and no time we store lies there.
  if (year < 1 || year > 9999) throw invalid(place, date.toISOString(), 'a year from 1 to 9999');
  return date.toISOString();
}

/** How vectors travel: as text, or in pgvector's binary form where the driver sends bytes as they are. */
export type VectorCoding = 'text' | 'binary';

/** A parameter as PostgreSQL's text form, or as bytes for a top-level bytea or, if binary, a vector. */
export function encodeParameter(
  value: unknown,
  place: string,
  vectors: VectorCoding = 'text',
): string | Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  if (value instanceof Vector && vectors === 'binary') return vectorBytes(value.value);
  return encodeScalar(value, place);
}

function encodeScalar(value: unknown, place: string): string | null {
  if (value === null || value === undefined) return null;
  switch (typeof value) {
    case 'string':
      return encodeText(value, place);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
    case 'bigint':
      return String(value);
    case 'object':
      return encodeObject(value, place);
    default:
      throw new InternalError({ detail: `${place}: a ${typeof value} cannot be a SQL parameter` });
  }
}

function encodeObject(value: object, place: string): string {
  if (value instanceof Date) return encodeDate(value, place);
  if (value instanceof Json) return value.text;
  if (value instanceof Vector) return vectorText(value.value);
  if (value instanceof Uint8Array) return byteaText(value);
  if (Array.isArray(value)) return encodeArray(value, place);
  if (isSqlArray(value)) {
    return `{${(value as unknown as Float32Array).join(',')}}`;
  }
  throw new InternalError({
    detail: `${place}: an object of class ${value.constructor?.name ?? 'null'} cannot be a SQL parameter; wrap JSON in json()`,
  });
}

/** Arrays, and typed arrays other than bytes. */
function isSqlArray(value: unknown): boolean {
  if (Array.isArray(value)) return true;
  return ArrayBuffer.isView(value) && !(value instanceof Uint8Array) && Symbol.iterator in value;
}

/** bytea's text form: '\\x00ff'. */
export function byteaText(bytes: Uint8Array): string {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return `\\x${view.toString('hex')}`;
}

function encodeArray(values: readonly unknown[], place: string): string {
  const parts = values.map((value, index) => {
    const text = encodeScalar(value, `${place}[${index}]`);
    if (text === null) return 'NULL';
    if (isSqlArray(value)) return text;
    if (typeof value === 'number' || typeof value === 'bigint') return text;
    return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  });
  return `{${parts.join(',')}}`;
}

export function encodeParameters(
  params: readonly unknown[] | undefined,
  vectors: VectorCoding = 'text',
): (string | Uint8Array | null)[] {
  return (params ?? []).map((value, index) =>
    encodeParameter(value, `SQL parameter $${index + 1}`, vectors),
  );
}

type Parser = (text: string) => unknown;

const identity: Parser = (text) => text;

function parseBytea(text: string): Uint8Array {
  // A plain Uint8Array with a buffer of its own: Float32Array views over it need offset 0.
  const bytes = new Uint8Array((text.length - 2) / 2);
  Buffer.from(bytes.buffer).write(text.slice(2), 'hex');
  return bytes;
}

function parseTime(text: string): Date {
  // Sessions run in UTC with ISO dates: '2026-11-23 10:00:00.123456+00', without the zone for timestamp.
  const date = new Date(`${text.slice(0, 10)}T${text.slice(11).replace(/\+00$/, '')}Z`);
  if (Number.isNaN(date.getTime())) {
    throw new InternalError({
      detail: `the database holds the time ${text}, which no clock shows`,
    });
  }
  return date;
}

const SCALARS: Record<number, Parser> = {
  16: (text) => text === 't' || text === 'true', // bool
  17: parseBytea,
  20: BigInt, // int8
  21: Number, // int2
  23: Number, // int4
  26: Number, // oid
  114: JSON.parse as Parser, // json
  700: Number, // float4
  701: Number, // float8
  1114: parseTime, // timestamp
  1184: parseTime, // timestamptz
  3802: JSON.parse as Parser, // jsonb
};

/** Array type -> element type. */
const ARRAYS: Record<number, number> = {
  1000: 16,
  1001: 17,
  1003: 19,
  1005: 21,
  1007: 23,
  1009: 25,
  1015: 1043,
  1016: 20,
  1021: 700,
  1022: 701,
  1028: 26,
  1115: 1114,
  1185: 1184,
  1231: 1700,
  199: 114,
  3807: 3802,
};

/** Parses '{a,"b c",NULL,{...}}'. */
export function parseArray(text: string, parseElement: Parser): unknown[] {
  let position = 0;
  const parseLevel = (): unknown[] => {
    const values: unknown[] = [];
    position++; // {
    while (text[position] !== '}') {
      if (text[position] === ',') position++;
      values.push(parseValue());
    }
    position++; // }
    return values;
  };
  const parseValue = (): unknown => {
    if (text[position] === '{') return parseLevel();
    if (text[position] === '"') return parseElement(parseQuoted());
    const start = position;
    while (text[position] !== ',' && text[position] !== '}') position++;
    const raw = text.slice(start, position);
    return raw === 'NULL' ? null : parseElement(raw);
  };
  const parseQuoted = (): string => {
    let raw = '';
    for (position++; text[position] !== '"'; position++) {
      if (text[position] === '\\') position++;
      raw += text[position];
    }
    position++;
    return raw;
  };
  // Arrays with other lower bounds are written '[2:3]={...}'.
  position = text.indexOf('{');
  return parseLevel();
}

/** The parser of a type, by its OID; unknown types stay text. */
export function parserOf(oid: number): Parser {
  const element = ARRAYS[oid];
  if (element === undefined) return SCALARS[oid] ?? identity;
  const parseElement = SCALARS[element] ?? identity;
  return (text) => parseArray(text, parseElement);
}
