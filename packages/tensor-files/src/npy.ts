/**
 * NumPy's .npy: magic, version, a Python dict literal, raw data. Formats 1.0 to 3.0.
 *
 * Pure bytes in, array out. Read: f2 f4 f8 and 16- to 64-bit integers of either byte order, C or Fortran
 * order (answered in C order). Object arrays (pickles) are refused. Written: little-endian f4, C order.
 */
import type { NamedArray } from '@nestrec/contracts';
import { excerpt } from '@nestrec/errors';
import { foreignFormat, refuse } from './refuse.js';
import {
  elementCount,
  F16,
  F32,
  F64,
  I16,
  I32,
  I64,
  U16,
  U32,
  U64,
  widen,
  type NumberType,
} from './widen.js';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const MAX_HEADER_BYTES = 65_536;
const MAX_RANK = 8;

const TYPES: ReadonlyMap<string, NumberType> = new Map([
  ['f2', F16],
  ['f4', F32],
  ['f8', F64],
  ['i2', I16],
  ['u2', U16],
  ['i4', I32],
  ['u4', U32],
  ['i8', I64],
  ['u8', U64],
]);

interface NpyHeader {
  readonly type: NumberType;
  readonly littleEndian: boolean;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/** Throws `InvalidTensorFile`; the reason names the byte or the header field. */
export function decodeNpy(bytes: Uint8Array): NamedArray {
  const dataStart = headerEnd(bytes);
  const headerStart = bytes[6] === 1 ? 10 : 12;
  const header = parseHeader(new TextDecoder().decode(bytes.subarray(headerStart, dataStart)));
  const { type, littleEndian, shape } = header;
  const count = elementCount(shape) ?? refuse(`shape ${excerpt(shape)} is too large`);
  const got = bytes.length - dataStart;
  if (got !== count * type.bytes) {
    refuse(
      `shape (${excerpt(shape.join(', '))}) needs ${count * type.bytes} bytes of data, ` +
        `the file has ${got} from byte ${dataStart} on`,
    );
  }
  const data = widen(bytes, dataStart, count, type, littleEndian, 'the array');
  const rowMajor = header.fortranOrder && shape.length > 1 ? fromFortran(data, shape) : data;
  return { shape, data: rowMajor };
}

function headerEnd(bytes: Uint8Array): number {
  if (bytes.length < 10 || !MAGIC.every((byte, i) => bytes[i] === byte)) {
    const foreign = foreignFormat(bytes);
    refuse(
      foreign === null
        ? 'bytes 0-5 are not the mark of a .npy file (truncated?)'
        : `this is ${foreign}, not a .npy file`,
    );
  }
  const version = bytes[6]!;
  if (version < 1 || version > 3 || bytes[7] !== 0) {
    refuse(`bytes 6-7 give .npy format ${version}.${bytes[7]}; 1.0 to 3.0 are read`);
  }
  if (version > 1 && bytes.length < 12) refuse('the header length is cut off (truncated)');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const end = (version === 1 ? 10 : 12) + length;
  if (length > MAX_HEADER_BYTES) {
    refuse(`bytes 8-11 announce a header of ${length} bytes; at most ${MAX_HEADER_BYTES} are read`);
  }
  if (end > bytes.length) {
    refuse(
      `byte 8 announces a header up to byte ${end}, the file has ${bytes.length} (truncated?)`,
    );
  }
  return end;
}

const FIELD =
  /\s*'(descr|fortran_order|shape)'\s*:\s*(?:'([^']{1,32})'|(True|False)|\(([0-9, ]*)\))\s*(,|(?=\s*\}))/y;

function parseHeader(text: string): NpyHeader {
  const fields = new Map<string, string>();
  if (/'descr'\s*:\s*\[/.test(text)) refuse('the array is structured; plain arrays are read');
  let at = text.startsWith('{') ? 1 : refuse('the header is not a Python dict');
  for (;;) {
    FIELD.lastIndex = at;
    const match = FIELD.exec(text);
    if (match === null) break;
    if (fields.has(match[1]!)) refuse(`the header has '${match[1]}' twice`);
    fields.set(match[1]!, match[2] ?? match[3] ?? match[4]!);
    at = FIELD.lastIndex;
  }
  if (!/^\s*\}\s*$/.test(text.slice(at))) {
    refuse(`the header is malformed at ${excerpt(text.slice(at))}`);
  }
  return {
    ...readDescription(fields.get('descr')),
    fortranOrder: readOrder(fields.get('fortran_order')),
    shape: readShape(fields.get('shape')),
  };
}

function readDescription(value: string | undefined): { type: NumberType; littleEndian: boolean } {
  if (value?.includes('O')) refuse('the array holds pickled Python objects; they are never read');
  const order = value?.[0] ?? '';
  const type = TYPES.get(value?.slice(1) ?? '');
  if (type === undefined || !'<>='.includes(order)) {
    return refuse(
      `descr is ${excerpt(value ?? 'absent')}; read are ${[...TYPES.keys()].join(', ')}`,
    );
  }
  return { type, littleEndian: order !== '>' };
}

function readOrder(value: string | undefined): boolean {
  if (value !== 'True' && value !== 'False') {
    refuse(`fortran_order is ${excerpt(value ?? 'absent')}; True or False is wanted`);
  }
  return value === 'True';
}

function readShape(value: string | undefined): number[] {
  if (value === undefined || !/^ *(\d+(, *\d+)*,?)? *$/.test(value)) {
    return refuse(`shape is ${excerpt(value ?? 'absent')}; a tuple of whole numbers is wanted`);
  }
  const shape = value
    .split(',')
    .map((size) => size.trim())
    .filter((size) => size !== '')
    .map(Number);
  if (shape.length > MAX_RANK) refuse(`shape has ${shape.length} dimensions; at most ${MAX_RANK}`);
  return shape;
}

/** Column-major to row-major. */
function fromFortran(data: Float32Array, shape: readonly number[]): Float32Array {
  const result = new Float32Array(data.length);
  const index = new Array<number>(shape.length).fill(0);
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((a, b) => a * b, 1));
  let from = 0;
  for (let to = 0; to < data.length; to++) {
    result[to] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

/** Writes format 1.0, little-endian f4, C order, data at a multiple of 64 bytes as NumPy does. */
export function encodeNpy(array: NamedArray): Uint8Array {
  const { shape, data } = array;
  if (shape.length > MAX_RANK || elementCount(shape) !== data.length) {
    refuse(`shape ${excerpt(shape)} does not fit ${data.length} numbers`);
  }
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
  const dataStart = Math.ceil((10 + dict.length + 1) / 64) * 64;
  const bytes = new Uint8Array(dataStart + data.length * 4);
  bytes.set([...MAGIC, 1, 0]);
  const view = new DataView(bytes.buffer);
  view.setUint16(8, dataStart - 10, true);
  bytes.fill(0x20, 10, dataStart - 1);
  bytes.set(new TextEncoder().encode(dict), 10);
  bytes[dataStart - 1] = 0x0a;
  for (let i = 0; i < data.length; i++) view.setFloat32(dataStart + i * 4, data[i]!, true);
  return bytes;
}
