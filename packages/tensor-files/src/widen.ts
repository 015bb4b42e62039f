/**
 * Reads numbers of any stored type into float32.
 *
 * The types read here take at least two bytes each, so the result is at most twice the file. 8-bit and
 * boolean tensors are refused on purpose: as features or weights they mean nothing without a scale.
 */
import { refuse } from './refuse.js';

export interface NumberType {
  readonly bytes: number;
  readonly integer: boolean;
  readonly read: (view: DataView, byte: number, littleEndian: boolean) => number;
}

export const F32: NumberType = {
  bytes: 4,
  integer: false,
  read: (view, byte, le) => view.getFloat32(byte, le),
};
export const F64: NumberType = {
  bytes: 8,
  integer: false,
  read: (view, byte, le) => view.getFloat64(byte, le),
};
export const F16: NumberType = {
  bytes: 2,
  integer: false,
  read: (view, byte, le) => halfToNumber(view.getUint16(byte, le)),
};
export const BF16: NumberType = {
  bytes: 2,
  integer: false,
  read: (view, byte, le) => brainToNumber(view.getUint16(byte, le)),
};
export const I16: NumberType = {
  bytes: 2,
  integer: true,
  read: (view, byte, le) => view.getInt16(byte, le),
};
export const U16: NumberType = {
  bytes: 2,
  integer: true,
  read: (view, byte, le) => view.getUint16(byte, le),
};
export const I32: NumberType = {
  bytes: 4,
  integer: true,
  read: (view, byte, le) => view.getInt32(byte, le),
};
export const U32: NumberType = {
  bytes: 4,
  integer: true,
  read: (view, byte, le) => view.getUint32(byte, le),
};
export const I64: NumberType = {
  bytes: 8,
  integer: true,
  read: (view, byte, le) => Number(view.getBigInt64(byte, le)),
};
export const U64: NumberType = {
  bytes: 8,
  integer: true,
  read: (view, byte, le) => Number(view.getBigUint64(byte, le)),
};

const scratch = new DataView(new ArrayBuffer(4));

/** bfloat16 is the upper half of a float32. */
function brainToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

const PLATFORM_IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * `count` numbers of `type` from byte `from` of `bytes`, as float32. The caller has checked the range.
 * Aligned little-endian float32 is a view of `bytes`, not a copy. Throws `InvalidTensorFile` for an
 * integer that float32 cannot hold exactly (ids stored as numbers would otherwise be changed silently).
 */
export function widen(
  bytes: Uint8Array,
  from: number,
  count: number,
  type: NumberType,
  littleEndian: boolean,
  name: string,
): Float32Array {
  const start = bytes.byteOffset + from;
  if (type === F32 && littleEndian && PLATFORM_IS_LITTLE_ENDIAN && start % 4 === 0) {
    return new Float32Array(bytes.buffer, start, count);
  }
  const view = new DataView(bytes.buffer, start, count * type.bytes);
  const result = new Float32Array(count);
  for (let i = 0; i < count; i++) result[i] = type.read(view, i * type.bytes, littleEndian);
  if (type.integer) refuseInexactIntegers(view, result, type, littleEndian, name);
  return result;
}

function refuseInexactIntegers(
  view: DataView,
  result: Float32Array,
  type: NumberType,
  littleEndian: boolean,
  name: string,
): void {
  for (let i = 0; i < result.length; i++) {
    const exact = type.read(view, i * type.bytes, littleEndian);
    if (exact !== result[i]) {
      refuse(`${name}: element ${i} is the integer ${exact}, which float32 cannot hold exactly`);
    }
  }
}

/** The numbers as bytes: a view of them where the machine stores them so, otherwise a copy. */
export function littleEndianBytes(numbers: Float32Array): Uint8Array {
  if (PLATFORM_IS_LITTLE_ENDIAN) {
    return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  }
  const bytes = new Uint8Array(numbers.byteLength);
  const view = new DataView(bytes.buffer);
  numbers.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return bytes;
}

/** Number of elements of a shape, or null when it is no list of sizes whose product is countable. */
export function elementCount(shape: readonly number[]): number | null {
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return null;
    count *= size;
  }
  return Number.isSafeInteger(count) ? count : null;
}
