/**
 * Cuts lines into records of fields, as RFC 4180 has it: a field may be quoted, then it may hold the
 * delimiter, doubled quotes and line ends. A quote in the middle of an unquoted field is a plain character.
 *
 * A quote that is never closed spoils only the line that opens it: reading goes on with the line after it.
 */
import { InvalidInput } from '@nestrec/errors';
import { DEFAULT_MAX_LINE_BYTES, wantedInsteadOf, type Line } from './lines.js';

export interface RecordFault {
  readonly reason: string;
  readonly want: string;
}

export interface CsvRecord {
  /** Line on which the record begins. */
  readonly line: number;
  readonly fields: readonly string[];
  /** The record as it stood (its first line, when it has a fault). */
  readonly text: string;
  readonly fault: RecordFault | null;
}

export interface RecordOptions {
  readonly delimiter: string;
  /** False: quotes are plain characters (RecBole files). */
  readonly quotes: boolean;
}

type State = 'start' | 'plain' | 'quoted' | 'closed';

/** Parser of one record that can be fed line by line: linear in the record's length. */
class RecordParser {
  readonly fields: string[] = [];
  private state: State = 'start';
  private field = '';
  misplaced = false;

  constructor(private readonly delimiter: string) {}

  /** Whether the record is complete. */
  feed(line: string): boolean {
    if (this.state === 'quoted') this.field += '\n';
    for (let at = 0; at < line.length; at++) {
      const c = line[at]!;
      if (this.state === 'quoted') {
        const close = line.indexOf('"', at);
        this.field += line.slice(at, close === -1 ? undefined : close);
        if (close === -1) return false;
        at = close;
        if (line[at + 1] === '"') {
          this.field += '"';
          at++;
        } else this.state = 'closed';
      } else if (c === this.delimiter) this.endField();
      else if (this.state === 'closed') this.misplaced = true;
      else if (c === '"' && this.state === 'start') this.state = 'quoted';
      else {
        this.state = 'plain';
        this.field += c;
      }
    }
    if (this.state === 'quoted') return false;
    this.endField();
    return true;
  }

  private endField(): void {
    this.fields.push(this.field);
    this.field = '';
    this.state = 'start';
  }
}

const MAX_UNCLOSED_QUOTES = 20;
const faultOf = (reason: string, want: string): RecordFault => ({ reason, want });

/** Records in batches. Empty lines between records are skipped. */
export async function* readRecords(
  lines: AsyncIterable<readonly Line[]>,
  options: RecordOptions,
): AsyncGenerator<CsvRecord[], void, undefined> {
  const assembler = createAssembler(options);
  for await (const batch of lines) {
    const records = batch.flatMap((line) => assembler.push(line));
    if (records.length > 0) yield records;
  }
  const rest = assembler.finish();
  if (rest.length > 0) yield rest;
}

function createAssembler({ delimiter, quotes }: RecordOptions) {
  let parser: RecordParser | null = null;
  let open: Line[] = [];
  let openBytes = 0;
  let unclosed = 0;

  const abandonOpenRecord = (): CsvRecord[] => {
    const [first, ...again] = open;
    parser = null;
    open = [];
    openBytes = 0;
    if (++unclosed > MAX_UNCLOSED_QUOTES)
      throw new InvalidInput({
        detail:
          `More than ${MAX_UNCLOSED_QUOTES} quotes are never closed (the last opens at line ` +
          `${first!.number}); repair the quoting, or name the right delimiter.`,
      });
    const fault = faultOf('unclosed_quote', 'a closing quote within 1 MiB');
    const bad = { line: first!.number, fields: [], text: first!.text, fault };
    return [bad, ...again.flatMap(push)];
  };

  const complete = (
    fields: string[],
    misplaced: boolean,
    begin: Line,
    text: string,
  ): CsvRecord => ({
    line: begin.number,
    fields,
    text,
    fault: misplaced ? faultOf('bad_quoting', 'a delimiter after a closing quote') : null,
  });

  function push(line: Line): CsvRecord[] {
    if (parser === null) {
      if (line.fault !== null) {
        const fault = faultOf(line.fault, wantedInsteadOf(line.fault));
        return [{ line: line.number, fields: [], text: line.text, fault }];
      }
      if (line.text === '') return [];
      if (!quotes || !line.text.includes('"'))
        return [complete(line.text.split(delimiter), false, line, line.text)];
      parser = new RecordParser(delimiter);
    }
    open.push(line);
    openBytes += line.text.length;
    if (line.fault !== null || openBytes > DEFAULT_MAX_LINE_BYTES) return abandonOpenRecord();
    if (!parser.feed(line.text)) return [];
    const text = open.map((l) => l.text).join('\n');
    const record = complete(parser.fields, parser.misplaced, open[0]!, text);
    parser = null;
    open = [];
    openBytes = 0;
    return [record];
  }

  return {
    push,
    finish(): CsvRecord[] {
      const records: CsvRecord[] = [];
      while (open.length > 0) records.push(...abandonOpenRecord());
      return records;
    },
  };
}
