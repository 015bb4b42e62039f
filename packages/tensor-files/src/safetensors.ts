/**
 * safetensors: 8 bytes of header length (little-endian), a JSON header, raw little-endian data.
 *
 * Pure bytes in, arrays out; knows no files. Written: F32. Read: every numeric type of two bytes and
 * more, as float32. Refused with the tensor or byte named: whatever the format forbids (overlaps, holes,
 * trailing bytes, duplicate keys, headers above 100 MB), before anything of that size is allocated.
 * NaN and Inf pass: the format allows them, and callers know which tensor may hold them.
 */
import type { NamedArray, NamedArrays } from '@nestrec/contracts';
import { excerpt } from '@nestrec/errors';
import { checkJsonKeys } from './json-keys.js';
import { foreignFormat, refuse } from './refuse.js';
import {
  BF16,
  elementCount,
  F16,
  F32,
  F64,
  I16,
  I32,
  I64,
  littleEndianBytes,
  U16,
  U32,
  U64,
  widen,
  type NumberType,
} from './widen.js';

export const MAX_HEADER_BYTES = 100_000_000;
const HEADER_LIMITS = { depth: 3, keyLength: 1_024, keys: 200_000 };
const MAX_RANK = 8;
const METADATA = '__metadata__';
/** Numbers in a part: 64 MB. */
const PART_NUMBERS = 2 ** 24;

const TYPES: ReadonlyMap<string, NumberType> = new Map([
  ['F64', F64],
  ['F32', F32],
  ['F16', F16],
  ['BF16', BF16],
  ['I64', I64],
  ['U64', U64],
  ['I32', I32],
  ['U32', U32],
  ['I16', I16],
  ['U16', U16],
]);

export interface SafetensorsContent {
  /** In the order of the data. Aligned F32 tensors are views of the bytes given, not copies. */
  readonly arrays: NamedArrays;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface TensorEntry {
  readonly name: string;
  readonly type: NumberType;
  readonly shape: readonly number[];
  readonly count: number;
  readonly begin: number;
  readonly end: number;
}

/** Where the tensors of a file stand. */
export interface SafetensorsLayout {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of the data. */
  readonly entries: readonly TensorEntry[];
  readonly dataStart: number;
}

export interface DecodeOptions {
  /** Refuse every other type of number than F32, which is all that `encodeSafetensors` writes. */
  readonly onlyFloat32?: boolean;
}

/** Throws `InvalidTensorFile`; the reason names the tensor or the byte. */
export function decodeSafetensors(
  bytes: Uint8Array,
  { onlyFloat32 = false }: DecodeOptions = {},
): SafetensorsContent {
  const { metadata, entries, dataStart } = readLayout(bytes, bytes.length);
  const arrays = new Map<string, NamedArray>();
  for (const { name, type, shape, count, begin } of entries) {
    if (onlyFloat32 && type !== F32) {
      const [dtype] = [...TYPES].find(([, one]) => one === type)!;
      refuse(`tensor ${excerpt(name)} has dtype ${dtype}; F32 is wanted`);
    }
    const data = widen(bytes, dataStart + begin, count, type, true, `tensor ${excerpt(name)}`);
    arrays.set(name, { shape, data });
  }
  return { arrays, metadata };
}

/** The checked layout of a file of `size` bytes from its beginning, which has at least the whole header. */
export function readLayout(bytes: Uint8Array, size: number): SafetensorsLayout {
  const headerBytes = readHeaderLength(bytes, size);
  const header = parseHeader(bytes.subarray(8, 8 + headerBytes));
  const metadata = readMetadata(header.get(METADATA));
  const entries: TensorEntry[] = [];
  for (const [name, value] of header) {
    if (name !== METADATA) entries.push(readEntry(name, value));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const dataStart = 8 + headerBytes;
  checkTiling(entries, size - dataStart, dataStart);
  return { metadata, entries, dataStart };
}

/** Bytes of the header of a file of `size` bytes, from its first 9. */
export function readHeaderLength(bytes: Uint8Array, size: number): number {
  if (size < 8) {
    refuse(`file has ${size} bytes; a safetensors file has at least 8 (truncated?)`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  const announced = `bytes 0-7 announce a header of ${length} bytes`;
  if (length > BigInt(MAX_HEADER_BYTES)) {
    refuseStart(bytes, `${announced}; at most ${MAX_HEADER_BYTES} are allowed`);
  }
  if (length > BigInt(size - 8)) {
    refuseStart(bytes, `${announced}, but only ${size - 8} follow (truncated?)`);
  }
  if (length < 2n || bytes[8] !== 0x7b) {
    refuseStart(bytes, 'byte 8 must be "{", the start of the header');
  }
  return Number(length);
}

/** Names a foreign format only once the start is wrong: a length may look like another format's mark. */
function refuseStart(bytes: Uint8Array, reason: string): never {
  const foreign = foreignFormat(bytes);
  return refuse(foreign === null ? reason : `this is ${foreign}, not a safetensors file`);
}

function parseHeader(bytes: Uint8Array): Map<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse('the header (from byte 8) is not valid UTF-8');
  }
  checkJsonKeys(text, HEADER_LIMITS);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return refuse(`the header (from byte 8) is not valid JSON: ${excerpt(reason)}`);
  }
  return fieldsOf(parsed, 'the header');
}

function fieldsOf(value: unknown, what: string): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(`${what} must be a JSON object`);
  }
  return new Map(Object.entries(value));
}

function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  const metadata: Record<string, string> = {};
  for (const [key, text] of fieldsOf(value, METADATA)) {
    if (typeof text !== 'string') refuse(`${METADATA}.${excerpt(key)} must be a string`);
    metadata[key] = text as string;
  }
  return metadata;
}

function readEntry(name: string, value: unknown): TensorEntry {
  const label = `tensor ${excerpt(name)}`;
  const fields = fieldsOf(value, label);
  for (const key of fields.keys()) {
    if (key !== 'dtype' && key !== 'shape' && key !== 'data_offsets') {
      refuse(`${label} has the unknown field ${excerpt(key)}`);
    }
  }
  const type = readType(label, fields.get('dtype'));
  const shape = readSizes(label, 'shape', fields.get('shape'));
  if (shape.length > MAX_RANK) {
    refuse(`${label} has ${shape.length} dimensions; at most ${MAX_RANK} are read`);
  }
  const count = elementCount(shape) ?? refuse(`${label}: shape ${excerpt(shape)} is too large`);
  const offsets = readSizes(label, 'data_offsets', fields.get('data_offsets'));
  if (offsets.length !== 2) refuse(`${label}: data_offsets must be [begin, end]`);
  const [begin, end] = offsets as [number, number];
  if (end < begin) refuse(`${label}: data_offsets end ${end} lies before begin ${begin}`);
  if (end - begin !== count * type.bytes) {
    refuse(
      `${label}: shape ${excerpt(shape)} needs ${count * type.bytes} bytes, ` +
        `data_offsets give ${end - begin}`,
    );
  }
  return { name, type, shape, count, begin, end };
}

function readType(label: string, value: unknown): NumberType {
  const type = typeof value === 'string' ? TYPES.get(value) : undefined;
  if (type !== undefined) return type;
  return refuse(
    `${label} has dtype ${excerpt(value ?? 'none')}; read are ${[...TYPES.keys()].join(', ')}`,
  );
}

function readSizes(label: string, field: string, value: unknown): number[] {
  const valid =
    Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!valid) refuse(`${label}: ${field} must be a list of whole numbers, got ${excerpt(value)}`);
  return value as number[];
}

/** Entries (sorted by begin) must cover the data exactly: no overlap, no hole, nothing left over. */
function checkTiling(entries: readonly TensorEntry[], dataBytes: number, dataStart: number): void {
  let expected = 0;
  let previous = '';
  for (const { name, begin, end } of entries) {
    if (end > dataBytes) {
      refuse(
        `tensor ${excerpt(name)} ends at data byte ${end}, but the file has ${dataBytes} ` +
          '(truncated, or an offset out of range)',
      );
    }
    if (begin < expected) refuse(`tensor ${excerpt(name)} overlaps tensor ${excerpt(previous)}`);
    if (begin > expected) {
      refuse(`bytes ${dataStart + expected}-${dataStart + begin - 1} belong to no tensor`);
    }
    expected = end;
    previous = name;
  }
  if (expected !== dataBytes) {
    refuse(`${dataBytes - expected} trailing bytes from byte ${dataStart + expected} on`);
  }
}

/**
 * Writes every array as F32 in the order given; equal input gives equal bytes. Data start at a multiple
 * of 8 bytes. Throws `InvalidTensorFile` for a name the reader would refuse or a shape that does not fit.
 */
export function encodeSafetensors(
  arrays: NamedArrays,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const parts = [...safetensorsParts(arrays, metadata)];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * The same bytes one part after the other, without a copy of the arrays: parts are views of them, to be used up
 * before they change.
 */
export function* safetensorsParts(
  arrays: NamedArrays,
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array, void, undefined> {
  yield headerOf(arrays, metadata);
  for (const { data } of arrays.values()) {
    for (let from = 0; from < data.length; from += PART_NUMBERS) {
      yield littleEndianBytes(data.subarray(from, from + PART_NUMBERS));
    }
  }
}

function headerOf(arrays: NamedArrays, metadata: Readonly<Record<string, string>>): Uint8Array {
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push([METADATA, metadata]);
  let offset = 0;
  for (const [name, { shape, data }] of arrays) {
    checkWritable(name, shape, data);
    const end = offset + data.length * 4;
    header.push([name, { dtype: 'F32', shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = `{${header.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`;
  const unpadded = new TextEncoder().encode(json);
  const headerBytes = Math.ceil(unpadded.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerBytes).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.set(unpadded, 8);
  return bytes;
}

function checkWritable(name: string, shape: readonly number[], data: Float32Array): void {
  if (name === METADATA || name === '__proto__' || name.length > HEADER_LIMITS.keyLength) {
    refuse(`a tensor cannot be named ${excerpt(name)}`);
  }
  if (shape.length > MAX_RANK || elementCount(shape) !== data.length) {
    refuse(`tensor ${excerpt(name)}: shape ${excerpt(shape)} does not fit ${data.length} numbers`);
  }
}
