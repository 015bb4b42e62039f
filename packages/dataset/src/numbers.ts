/**
 * Numbers that are read by range, wherever they lie: a typed array is such numbers in memory, `NumberFile`
 * such numbers on disk. Whoever reads this way needs memory for what it looks at, not for what there is.
 *
 * Knows nothing of events.
 */
import { readSync } from 'node:fs';
import { StagingFailed } from '@nestrec/errors';

export type NumberArray = Int32Array | Float64Array;

/** What `subarray` gives may be shared or kept by others: never write to it. */
export interface Numbers<T extends NumberArray> {
  readonly length: number;
  subarray(from: number, to: number): T;
}

/** `Int32Array` or `Float64Array`: how the numbers of a file are made into an array, and how wide they are. */
export interface NumberType<T extends NumberArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): T;
}

/**
 * Numbers in an open file, in the byte order of this machine. A file descriptor counts for the whole
 * process, so a worker thread reads the same file by the same number.
 */
export class NumberFile<T extends NumberArray> implements Numbers<T> {
  constructor(
    readonly descriptor: number,
    readonly length: number,
    private readonly type: NumberType<T>,
  ) {}

  subarray(from: number, to: number): T {
    const width = this.type.BYTES_PER_ELEMENT;
    const bytes = new Uint8Array(Math.max(0, to - from) * width);
    for (let read = 0; read < bytes.length;) {
      const count = this.readInto(bytes, read, from * width + read);
      if (count === 0)
        throw new StagingFailed({
          detail: `The event file ends before number ${to} of ${this.length}: another program cut it.`,
        });
      read += count;
    }
    return new this.type(bytes.buffer);
  }

  private readInto(bytes: Uint8Array, at: number, position: number): number {
    try {
      return readSync(this.descriptor, bytes, at, bytes.length - at, position);
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code ?? 'no reason given';
      throw new StagingFailed({ detail: `The event file cannot be read (${reason}).`, cause });
    }
  }
}

/** Numbers of one read in order: a megabyte of int32, after which larger reads gain nothing. */
const BLOCK_NUMBERS = 2 ** 18;

/** The same numbers for a reader that goes through them from front to back: a file is read in large blocks. */
export function inOrder<T extends NumberArray>(numbers: Numbers<T>): Numbers<T> {
  if (!(numbers instanceof NumberFile)) return numbers;
  let block = numbers.subarray(0, 0) as T;
  let start = 0;
  return {
    length: numbers.length,
    subarray(from, to) {
      if (from < start || to > start + block.length) {
        start = from;
        block = numbers.subarray(
          from,
          Math.min(numbers.length, Math.max(to, from + BLOCK_NUMBERS)),
        ) as T;
      }
      return block.subarray(from - start, to - start) as T;
    },
  };
}

/** Ranges with no more numbers than this between them are read at once: a system call costs as much. */
const GAP_NUMBERS = 2 ** 12;

/** The ranges `[from[i], to[i])`, which may lie anywhere; a file is read in few reads, front to back. */
export function readRanges<T extends NumberArray>(
  numbers: Numbers<T>,
  from: Int32Array,
  to: Int32Array,
): T[] {
  if (!(numbers instanceof NumberFile))
    return Array.from(from, (begin, i) => numbers.subarray(begin, to[i]!));
  const order = Int32Array.from(from.keys()).sort((a, b) => from[a]! - from[b]!);
  const parts = new Array<T>(from.length);
  for (let first = 0, next = 0; first < order.length; first = next) {
    const start = from[order[first]!]!;
    let end = start;
    for (; next < order.length && from[order[next]!]! <= end + GAP_NUMBERS; next++)
      end = Math.max(end, to[order[next]!]!);
    const read = numbers.subarray(start, end) as T;
    for (const i of order.subarray(first, next))
      parts[i] = read.subarray(from[i]! - start, to[i]! - start) as T;
  }
  return parts;
}
