/**
 * Cuts bytes into numbered lines of text. LF and CRLF end a line; a UTF-8 mark at the start is dropped.
 *
 * A line that cannot be used (too long, not UTF-8, NUL inside) is given on with its fault, and the next
 * line is read as if nothing had been: memory never holds more than one line's limit.
 */
import { isUtf8 } from 'node:buffer';
import { InvalidInput } from '@nestrec/errors';

export type LineFault = 'line_too_long' | 'not_utf8' | 'nul_character';

export interface Line {
  /** From 1. */
  readonly number: number;
  /** The text; for a line with a fault, its readable beginning. */
  readonly text: string;
  readonly fault: LineFault | null;
}

export const DEFAULT_MAX_LINE_BYTES = 2 ** 20;
const LF = 10;
const CR = 13;
const SHOWN_BYTES = 256;

/**
 * Yields lines in batches, one batch per chunk.
 *
 * @throws InvalidInput for UTF-16 without a mark, and for files whose lines end in CR alone.
 */
export async function* readLines(
  chunks: AsyncIterable<Buffer>,
  maxLineBytes = DEFAULT_MAX_LINE_BYTES,
): AsyncGenerator<Line[], void, undefined> {
  const cutter = createCutter(maxLineBytes);
  let first = true;
  for await (const raw of chunks) {
    let chunk = raw;
    if (first) {
      first = false;
      refuseForeignText(chunk);
      if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) chunk = chunk.subarray(3);
    }
    const lines = cutter.push(chunk);
    if (lines.length > 0) yield lines;
  }
  const last = cutter.finish();
  if (last !== null) yield [last];
}

interface Cutter {
  push(chunk: Buffer): Line[];
  finish(): Line | null;
}

function createCutter(maxLineBytes: number): Cutter {
  let number = 0;
  let parts: Buffer[] = [];
  let length = 0;
  let overlong = false;
  const keep = (part: Buffer) => {
    length += part.length;
    if (!overlong) parts.push(part);
    if (!overlong && length > maxLineBytes) {
      overlong = true;
      parts = [Buffer.concat(parts).subarray(0, SHOWN_BYTES)];
    }
  };
  const end = (): Line => {
    number++;
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    const line = overlong
      ? { number, text: bytes.toString('utf8'), fault: 'line_too_long' as const }
      : decodeLine(number, bytes);
    parts = [];
    length = 0;
    overlong = false;
    return line;
  };
  return {
    push(chunk) {
      const lines: Line[] = [];
      let from = 0;
      for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
        keep(chunk.subarray(from, at));
        lines.push(end());
        from = at + 1;
      }
      if (from < chunk.length) keep(chunk.subarray(from));
      return lines;
    },
    finish: () => (length > 0 ? end() : null),
  };
}

function decodeLine(number: number, raw: Buffer): Line {
  const bytes = raw.length > 0 && raw[raw.length - 1] === CR ? raw.subarray(0, -1) : raw;
  if (bytes.includes(0))
    return {
      number,
      text: bytes.subarray(0, SHOWN_BYTES).toString('utf8'),
      fault: 'nul_character',
    };
  if (!isUtf8(bytes))
    return { number, text: bytes.subarray(0, SHOWN_BYTES).toString('latin1'), fault: 'not_utf8' };
  return { number, text: bytes.toString('utf8'), fault: null };
}

function refuseForeignText(head: Buffer): void {
  const sample = head.subarray(0, 4096);
  let zeros = 0;
  for (const byte of sample) if (byte === 0) zeros++;
  if (sample.length >= 8 && zeros > sample.length * 0.3 && zeros < sample.length * 0.7)
    throw new InvalidInput({
      detail: 'The text is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW.',
    });
  if (!sample.includes(LF) && sample.subarray(0, -1).includes(CR))
    throw new InvalidInput({
      detail: 'Lines end in CR alone (old Macintosh); convert it: tr "\\r" "\\n" < FILE > NEW.',
    });
}

const WANTED: Readonly<Record<LineFault, string>> = {
  line_too_long: 'a line within the length limit',
  not_utf8: 'UTF-8 text (from Latin-1: iconv -f LATIN1 -t UTF-8)',
  nul_character: 'text without NUL characters',
};

export function wantedInsteadOf(fault: LineFault): string {
  return WANTED[fault];
}
