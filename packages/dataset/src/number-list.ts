/**
 * Numbers that arrive one by one in unknown count: `NumberList` keeps them in memory, `NumberSpool` in a
 * file once they are too many for that.
 */
import { writeSync } from 'node:fs';
import { StagingFailed } from '@nestrec/errors';
import { NumberFile, type NumberArray, type Numbers, type NumberType } from './numbers.js';
import type { Spill } from './spill.js';

const CHUNK_NUMBERS = 2 ** 16;

/** Memory that worker threads share instead of copying. */
export function sharedArray<T extends NumberArray>(type: NumberType<T>, length: number): T {
  return new type(new SharedArrayBuffer(length * type.BYTES_PER_ELEMENT));
}

export class NumberList<T extends NumberArray> {
  private full: T[] = [];
  private open: T;
  private used = 0;

  constructor(private readonly type: NumberType<T>) {
    this.open = this.newChunk();
  }

  get length(): number {
    return this.full.length * CHUNK_NUMBERS + this.used;
  }

  push(value: number): void {
    if (this.used === CHUNK_NUMBERS) {
      this.full.push(this.open);
      this.open = this.newChunk();
      this.used = 0;
    }
    this.open[this.used++] = value;
  }

  /** Hands over what is there, in order, and begins anew. */
  *drain(): Generator<T> {
    yield* this.full;
    yield this.open.subarray(0, this.used) as T;
    this.full = [];
    this.used = 0;
  }

  /** All of it in one array that threads share. The list is empty afterwards. */
  finish(): T {
    const whole = sharedArray(this.type, this.length);
    let at = 0;
    for (const chunk of this.drain()) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  private newChunk(): T {
    return new this.type(new ArrayBuffer(CHUNK_NUMBERS * this.type.BYTES_PER_ELEMENT));
  }
}

export class NumberSpool<T extends NumberArray> {
  private readonly list: NumberList<T>;
  private descriptor: number | null = null;
  private written = 0;

  /** Without `spill` everything stays in memory. */
  constructor(
    private readonly type: NumberType<T>,
    private readonly spill: Spill | null,
  ) {
    this.list = new NumberList(type);
  }

  get length(): number {
    return this.written + this.list.length;
  }

  push(value: number): void {
    this.list.push(value);
    if (this.spill === null) return;
    const most = this.descriptor === null ? this.spill.eventsInMemory : CHUNK_NUMBERS - 1;
    if (this.list.length > most) this.flush(this.spill);
  }

  finish(): Numbers<T> {
    // A typed array is its own `subarray` type, which the compiler cannot see for all T at once.
    if (this.descriptor === null) return this.list.finish() as unknown as Numbers<T>;
    this.flush(this.spill!);
    return new NumberFile(this.descriptor, this.written, this.type);
  }

  private flush(spill: Spill): void {
    this.descriptor ??= spill.openFile();
    for (const chunk of this.list.drain()) {
      this.write(this.descriptor, chunk, spill.folder);
      this.written += chunk.length;
    }
  }

  private write(descriptor: number, chunk: T, folder: string): void {
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const start = this.written * this.type.BYTES_PER_ELEMENT;
    try {
      for (let done = 0; done < bytes.length;)
        done += writeSync(descriptor, bytes, done, bytes.length - done, start + done);
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code ?? 'no reason given';
      throw new StagingFailed({
        detail:
          `The event file in ${folder} cannot be written (${reason}) after ${this.written} events; ` +
          'wanted 12 bytes of disk per event: make room, or let more events stay in memory.',
        cause,
      });
    }
  }
}
